import { LoadTimeoutError, TooManyLoadsError } from './errors.ts'
import type { LoadReason } from './events.ts'
import { createLoadSlots, type Rank } from './load-slots.ts'
import type { CacheOptions, EntryTimes, Load } from './options.ts'
import { MAX_SLOT_MS, TTL_JITTER } from './protocol.ts'
import type { Committed, Lease, StoredValue } from './store.ts'
import type { TaskTracker } from './task-tracker.ts'

/** How an entry is loaded. */
export interface LoadRequest {
  key: string
  load: Load
  rank: Rank
  times: EntryTimes
}

/** The lease to load with, and why the entry is loaded. */
export interface LoadOrder {
  lease: Lease
  why: LoadReason
  /** The older value of the entry, if the store has one. */
  found: StoredValue | undefined
}

/** What became of a load. The lease has ended in any case. */
export type LoadResult =
  | Loaded<'stored'>
  /** The lease was lost to another process, or the store did not confirm the commit. The value is valid. */
  | Loaded<'not-stored'>
  /** An invalidation was made after the lease was handed out, or the store cannot tell. */
  | Loaded<'overtaken'>
  /** The load has rejected. */
  | Failed<'failed'>
  /** The load took longer than `policy.loadTimeoutMs`. */
  | Failed<'timed-out'>
  /** The load did not begin, because no slot was free in time. Other processes may load the entry at once. */
  | { status: 'refused'; error: TooManyLoadsError }

interface Timed {
  /** The result reflects every invalidation that was confirmed before this time (ms, `clock`). */
  asOfMs: number
  durationMs: number
}

interface Loaded<Status> extends Timed {
  status: Status
  committed: Committed
  value: StoredValue
  /** When the commit was requested (ms, `clock`). */
  requestedAtMs: number
  /** Whether this process may put a copy of the value. */
  isCopyable: boolean
}

interface Failed<Status> extends Timed {
  status: Status
  error: unknown
  /** For how long no process loads the entry. */
  coolDownMs: number
  /** The older value, which may be served. */
  found: StoredValue | undefined
}

interface LeaseLoaderOptions extends Pick<CacheOptions, 'store' | 'clock' | 'random' | 'policy'> {
  tasks: TaskTracker
}

/** Whether no invalidation has ended the generation of the lease. */
const isCurrent = (committed: Committed) => !/^(?:outdated|forgotten)/.test(committed)

/** Makes a function that loads one entry with a lease, and ends the lease. */
export function createLeaseLoader({ store, clock, random, policy, tasks }: LeaseLoaderOptions) {
  // A load that has timed out may still run in the database. It keeps its slot for as long again.
  const longestMs = Math.min(2 * policy.loadTimeoutMs, MAX_SLOT_MS)
  const takeSlot = createLoadSlots(clock, { ...policy.loads, longestMs })

  /** The slot is free again when the load itself ends, not when its readers have given up. */
  async function loadInSlot({ key, load, rank }: LoadRequest, lease: Lease): Promise<Uint8Array> {
    const freeSlot = await takeSlot(rank)
    return withLeaseRenewal(key, lease, () => load().finally(freeSlot))
  }

  /**
   * Renews the lease each third of its time, until the load ends or times out.
   * @throws the error of the load; LoadTimeoutError.
   */
  async function withLeaseRenewal(key: string, lease: Lease, load: () => Promise<Uint8Array>): Promise<Uint8Array> {
    let isLoading = true
    const renewLater = () => clock.schedule(policy.leaseMs / 3, () => tasks.track(renew()))
    const renew = async () => {
      const isHeld = await store.renew(key, lease, policy.leaseMs)
      if (isHeld && isLoading) cancelRenewal = renewLater()
    }
    let cancelRenewal = renewLater()
    let reject: (error: Error) => void
    const timeout = new Promise<never>((_resolve, rejectTimeout) => {
      reject = rejectTimeout
    })
    const cancelTimeout = clock.schedule(policy.loadTimeoutMs, () => reject(new LoadTimeoutError(policy.loadTimeoutMs)))
    try {
      return await Promise.race([load(), timeout])
    } finally {
      isLoading = false
      cancelRenewal()
      cancelTimeout()
    }
  }

  async function end(key: string, lease: Lease, error: unknown, startedAtMs: number): Promise<LoadResult> {
    if (error instanceof TooManyLoadsError) {
      await store.release(key, lease)
      return { status: 'refused', error }
    }
    const asOfMs = clock.now()
    const { coolDownMs, found } = await store.fail(key, lease, policy.coolDown)
    const status = error instanceof LoadTimeoutError ? 'timed-out' : 'failed'
    return { status, error, coolDownMs, found, asOfMs, durationMs: clock.now() - startedAtMs }
  }

  /** Takes a slot, loads, and commits the value; or gives the lease back. Rejects only if the store does. */
  return async function loadWithLease(request: LoadRequest, { lease, why, found }: LoadOrder): Promise<LoadResult> {
    const { key, rank, times } = request
    const startedAtMs = clock.now()
    let bytes: Uint8Array
    try {
      bytes = await loadInSlot(request, lease)
    } catch (error) {
      return end(key, lease, error, startedAtMs)
    }
    const ttlMs = times.ttlMs * (1 - TTL_JITTER + 2 * TTL_JITTER * random())
    const keepForMs = ttlMs + Math.max(times.staleMs, times.failSafeMs)
    // The store had no older value: this reader may be the only one that the entry ever has.
    const isUnread = rank > 0 && why === 'load' && found === undefined
    const unreadForMs = isUnread ? Math.min(policy.unreadMs, keepForMs) : keepForMs
    const requestedAtMs = clock.now()
    const loadedInMs = requestedAtMs - startedAtMs
    const committed = await store.commit(key, lease, bytes, {
      ttlMs,
      keepForMs,
      unreadForMs,
      loadedInMs,
      isBounded: rank > 0,
    })
    return {
      status: committed === 'stored' ? committed : isCurrent(committed) ? 'not-stored' : 'overtaken',
      committed,
      value: { value: bytes, ageMs: 0, ttlMs },
      requestedAtMs,
      // The second reader of an unread entry must reach the store, which keeps the entry for longer from then on.
      isCopyable: committed === 'stored' && !lease.isLocal && !isUnread,
      // Without a confirmation by the shared store the value is known to be valid only as of the start of the load.
      asOfMs: lease.isLocal || ['unconfirmed', 'forgotten'].includes(committed) ? startedAtMs : requestedAtMs,
      durationMs: clock.now() - startedAtMs,
    }
  }
}
