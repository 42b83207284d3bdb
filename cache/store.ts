/**
 * A store of entries: one interface for the memory of the process and for Redis. Every operation is atomic.
 *
 * A store has a **generation** (two random nonces, hard and soft, compared by equality only). For each key it has at
 * most one **value**, one **lease** (the right of one holder to load) and one **cool-down** (after a failed load no
 * process may load). All times are durations by the store's own clock: the clocks of callers are never compared with
 * each other.
 */
export interface Store {
  /** Returns a fresh value, if the store can do so synchronously; else `undefined`. */
  peek?(key: string): StoredValue | undefined
  /** Returns the value if it is fresh; else what the caller does next, with an older value if there is one. */
  acquire(key: string, request: AcquireRequest): Promise<Acquired>
  /**
   * Stores a value that was loaded with a lease, and ends the lease: in one step, and only if the generation is still
   * that of the lease, and no other holder has taken the lease over or has committed since. Otherwise nothing is
   * written. A repeated commit has no effect.
   */
  commit(key: string, lease: Lease, value: Uint8Array, lifetime: Lifetime): Promise<Committed>
  /** Gives an unused lease back, so that the next caller may load. Does nothing if the lease is not held any more. */
  release(key: string, lease: Pick<Lease, 'token' | 'isLocal'>): Promise<void>
  /** Extends a lease to `leaseMs` from now. Returns false if it is not held any more, or its generation has ended. */
  renew(key: string, lease: Lease, leaseMs: number): Promise<boolean>
  /**
   * Ends a lease after a failed load: it becomes a cool-down of `firstMs`, twice as long after each further failure, up
   * to `maxMs`. A commit ends the series. Does nothing if the lease is not held any more.
   */
  fail(key: string, lease: Lease, coolDown: CoolDown): Promise<Failed>
  /**
   * Ends the generation. `hard`: no value that was committed, or whose load began, before this is returned again.
   * `soft`: such values are stale from now on.
   * @param cause a name of the change, the same in all processes. In each mode one cause ends one generation, however
   * often it is passed within a minute (`CAUSE_KNOWN_MS`). Without a cause every call ends one.
   * @returns whether this call has ended the generation; false if an earlier call with the same cause has.
   */
  invalidate(mode: InvalidateMode, cause?: string): Promise<boolean>
  /**
   * Ends one entry: no value of it that was committed, or whose load began, before this is returned again. Its cool-down ends,
   * too.
   */
  invalidateKey(key: string): Promise<void>
  /**
   * Ends the generation for a change of the data, at the pace of the store: after a change has ended one, no other change
   * does for a pause (`PACE`). Then the first call ends one for all processes. `invalidate` does not wait for this pace.
   */
  invalidateForChange(mode: InvalidateMode, change: Change): Promise<Applied>
  /** Returns the current generation; `undefined` if the store has lost it, and then no value is current. */
  generation(): Promise<string | undefined>
}

/** `hard`: values from before are not served any more. `soft`: they are stale, and served once more during a refresh. */
export type InvalidateMode = 'hard' | 'soft'

/** A change of the data that was committed before the call. */
export interface Change {
  /** The name of the change: see `Store.invalidate`. */
  cause?: string | undefined
  /** `ends` of an earlier reply of the same mode, which was asked for after the change was committed. */
  after?: number | undefined
}

/** Result of `invalidateForChange`. */
export interface Applied {
  /**
   * `ended`: this call has ended the generation. `known`: it ended after the change was committed, by an earlier call with
   * the same cause, or since the reply that `after` is from. `paced`: not yet; call again after the pause, with `ends` as `after`.
   */
  state: 'ended' | 'known' | 'paced'
  /** For how long from now no further change of this mode ends a generation (ms). */
  pauseMs: number
  /** How many generations of this mode the store knows to have ended. It may forget; then it counts from 0. */
  ends: number
}

/** Options of an invalidation. */
export interface InvalidateOptions {
  /**
   * Whether to wait until no process serves an older copy. Default true. `false`: the promise resolves when the store has
   * confirmed the invalidation; other processes may serve copies for up to one second more.
   */
  wait?: boolean | undefined
  /**
   * Names the change, by a text that is the same in all processes. Of several calls with the same key within one minute,
   * in any processes, only the first invalidates. Default: every call invalidates.
   */
  idempotencyKey?: string | undefined
}

/** A request for a value or a lease. */
export interface AcquireRequest {
  /** The name of the lease, if the caller gets it. It must be new for each request. */
  token: string
  /** How long the lease is held without a renewal. */
  leaseMs: number
  /** Whether to skip a fresh value, to get the lease instead. Default false. */
  force?: boolean
}

/** The right to load one entry. */
export interface Lease {
  token: string
  /** The generation in which the lease was granted; opaque. */
  generation: string
  /** The name of the value that the entry had when the lease was granted: its commit replaces no other; `''`: none. */
  replaces: string
  /** The last invalidation of this entry alone, when the lease was granted; opaque. */
  epoch: string
  /** The process's own store has granted it, while the shared store was out of reach. */
  isLocal?: true
}

/** How long a value lives, from its commit, how long its load took (ms), and whether it may be dropped. */
export interface Lifetime {
  /** Time to live: the value is fresh for this long. */
  ttlMs: number
  /** How long the value is kept in all, so that it can be served stale. At least `ttlMs`. */
  keepForMs: number
  /** How long a value is kept until it is read; the first read extends this to `keepForMs`. Default `keepForMs`. */
  unreadForMs?: number | undefined
  /** How long the load took: changes of the data wait for slow loads (`invalidateForChange`). Default 0. */
  loadedInMs?: number | undefined
  /**
   * Whether the value counts to the bound of a shared store: any client can request any number of such entries. Beyond the
   * bound the store drops those that were read once first, then those whose load is the longest ago. Default false.
   */
  isBounded?: boolean | undefined
}

/** A cool-down after a failed load: the first of a series, and the longest (ms). */
export interface CoolDown {
  firstMs: number
  maxMs: number
}

/** A value in the store. All readers share its bytes, so a reader must not write to them. */
export interface StoredValue {
  /** The bytes of the value. */
  value: Uint8Array
  /** Time since the commit. */
  ageMs: number
  /** The remaining time to live; 0 or less for a stale value. */
  ttlMs: number
}

/**
 * Result of `acquire`. `generation` is the generation in which the store has replied. It is undefined for process-local
 * replies, whose values must not be copied.
 */
export type Acquired = { generation: string | undefined } & (
  | /** The value is fresh. */ { state: 'hit'; found: StoredValue }
  | /** The caller loads the entry, and then calls `commit`, `fail` or `release`. */ {
      state: 'lease'
      lease: Lease
      found: StoredValue | undefined
    }
  | /** Another caller loads the entry. Its lease ends in `retryAfterMs`, if it is not renewed. */ {
      state: 'wait'
      retryAfterMs: number
      found: StoredValue | undefined
    }
  | /** The last load failed. No caller gets a lease for `retryAfterMs`. */ {
      state: 'cooling'
      retryAfterMs: number
      found: StoredValue | undefined
    }
)

/**
 * Result of `fail`: how long no caller gets a lease (0 if the lease was not held), and an older value that may be
 * served.
 */
export interface Failed {
  coolDownMs: number
  found: StoredValue | undefined
}

/**
 * Result of `commit`. `stored`; or not written: `lost` (the lease ended and another holder has it; the value is valid),
 * `outdated` and `outdated-hard` (the generation has ended since the lease was granted, softly or hard), `forgotten` (the
 * store has lost the generation), `unconfirmed` (the store did not reply).
 */
export type Committed = 'stored' | 'lost' | 'outdated' | 'outdated-hard' | 'forgotten' | 'unconfirmed'
