/**
 * Where entries live: one interface for the process's own memory and for Redis. Every operation is atomic.
 *
 * A store holds a **generation** (two random nonces, hard and soft, compared by equality only) and for each key at most
 * one **value**, one **lease** (who may load it now) and one **cool-down** (nobody may, after a failed load).
 * All times are durations by the store's own clock: callers' clocks are never compared with each other.
 */
export interface Store {
  /** A fresh value, where it can be had at once. */
  peek?(key: string): StoredValue | undefined
  /** Asks for an entry: its value where that is fresh, else what to do about it. */
  acquire(key: string, request: AcquireRequest): Promise<Acquired>
  /**
   * Stores what a lease's holder loaded, and gives the lease back: in one step, and only if the generation is still the
   * lease's and nobody else has taken the lease over. Otherwise nothing is written.
   */
  commit(key: string, lease: Lease, value: Uint8Array, times: Lifetime): Promise<Committed>
  /**
   * Gives a lease back, unused: the next caller may load. Changes nothing where the lease is not held any more.
   */
  release(key: string, lease: Pick<Lease, 'token' | 'isLocal'>): Promise<void>
  /** Extends a lease that is still held under the current generation; answers whether it is. */
  renew(key: string, lease: Lease, leaseMs: number): Promise<boolean>
  /**
   * Gives a lease back after a failed load: it becomes a cool-down of `firstMs`, twice that after the next failure, up to
   * `maxMs`; a commit ends the series. A lease that is not held any more changes nothing.
   */
  fail(key: string, lease: Lease, coolDown: CoolDown): Promise<Failed>
  /**
   * Ends a generation. `hard`: no value committed or being loaded before this is ever handed out again. `soft`: they are
   * stale from now on.
   * @param cause what happened, by a name that others who heard of it use too: in each mode, the same cause ends one
   * generation, however often it is named within {@link CAUSE_KNOWN_MS}. Without one, each call does.
   * @returns whether this call ended the generation; false: another one has, for the same cause.
   */
  invalidate(mode: InvalidateMode, cause?: string): Promise<boolean>
  /** The current generation; `undefined`: it is lost, and nothing is current. */
  generation(): Promise<string | undefined>
}

/** `hard`: values from before are not served any more. `soft`: they are stale, and served once more during a refresh. */
export type InvalidateMode = 'hard' | 'soft'

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

/** For how long a store knows what it was invalidated for. */
export const CAUSE_KNOWN_MS = 60_000

export interface AcquireRequest {
  /** Names the caller's load, should it get the lease; a new one for each load. */
  token: string
  /** How long a lease is held without a renewal. */
  leaseMs: number
  /** Take no value for fresh. */
  force?: boolean
}

/** The right to load one entry, as the store handed it out. */
export interface Lease {
  token: string
  /** The generation it was handed out in: opaque. */
  generation: string
  /** Handed out by the process's own store, while the shared one was out of reach. */
  isLocal?: true
}

export interface Lifetime {
  /** Fresh for so long. */
  freshForMs: number
  /** Kept for so long in all, to be served stale. At least `freshForMs`. */
  keepForMs: number
  /** Kept for only so long until it is asked for again: from then on for `keepForMs`. Default `keepForMs`. */
  unreadForMs?: number | undefined
}

export interface CoolDown {
  firstMs: number
  maxMs: number
}

/** A value in the store. Its bytes are shared with every reader: never written to. */
export interface StoredValue {
  /** The bytes of the value. */
  value: Uint8Array
  /** Since it was committed. */
  ageMs: number
  /** Until it is stale; 0 or less when it is. */
  freshForMs: number
}

/** What is to be done, and in which generation it was said: `undefined` by a store that nobody else shares. */
export type Acquired = { generation: string | undefined } & (
  | /** Fresh: serve it. */ { state: 'hit'; found: StoredValue }
  | /** The caller is to load it, and then to `commit` or to `fail`. */ {
      state: 'lease'
      lease: Lease
      found: StoredValue | undefined
    }
  | /** Somebody is loading it; ask again, in `retryAfterMs` at the latest. */ {
      state: 'wait'
      retryAfterMs: number
      found: StoredValue | undefined
    }
  | /** The last load failed; nobody may load for `retryAfterMs`. */ {
      state: 'cooling'
      retryAfterMs: number
      found: StoredValue | undefined
    }
)

/** How long nobody will load the entry (0 when the lease was not held), and what may be served meanwhile. */
export interface Failed {
  coolDownMs: number
  found: StoredValue | undefined
}

/**
 * `stored`; or not written: `lost` (the lease ran out and is somebody else's; the value is good all the same),
 * `outdated` and `outdated-hard` (the generation ended meanwhile, softly or hard), `unconfirmed` (the store could not be
 * asked).
 */
export type Committed = 'stored' | 'lost' | 'outdated' | 'outdated-hard' | 'unconfirmed'
