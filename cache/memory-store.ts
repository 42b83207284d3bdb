import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import { createPace } from './pace.ts'
import { CAUSE_KNOWN_MS, MAX_EPOCHS } from './protocol.ts'
import type { Acquired, AcquireRequest, InvalidateMode, Lease, Store, StoredValue } from './store.ts'

interface Generation {
  hard: string
  soft: string
}

interface Entry {
  /** The token of the lease that it was committed with. */
  name: string
  value: Uint8Array
  generation: Generation
  committedAtMs: number
  expiresAtMs: number
  keptUntilMs: number
  /** The new `keptUntilMs` after the first read. */
  keptUntilIfReadMs: number
}

interface MemoryStoreOptions {
  clock: Clock
  /** Returns a new random name, never the same twice. */
  nonce: () => string
  /** The least recently used value is dropped first. Default 1,000. */
  maxEntries?: number
  /** Bytes of all values and keys. Default 64 MiB. */
  maxBytes?: number
}

/** A store in the memory of this process. */
export interface MemoryStore extends Store {
  /** Returns the number of values, and their bytes with those of their keys. */
  size(): { entries: number; bytes: number }
}

/**
 * Creates a store in the memory of this process: for one process, and as the model that tests compare the store on
 * Redis with. Values are capped in number and bytes. Leases and cool-downs are not evicted: there is at most one of
 * each per load that runs or has failed recently, and expired cool-downs are dropped when a load fails.
 */
export function createMemoryStore({
  clock,
  nonce,
  maxEntries = 1000,
  maxBytes = 64 * 2 ** 20,
}: MemoryStoreOptions): MemoryStore {
  const entries = new LRUCache<string, Entry>({
    max: maxEntries,
    maxSize: maxBytes,
    sizeCalculation: (entry, key) => entry.value.byteLength + key.length,
  })
  const leases = new Map<string, Lease & { untilMs: number }>()
  /** Causes of invalidations, and until when the store remembers each (ms). */
  const causes = new LRUCache<string, number>({ max: 1000 })
  const coolDowns = new Map<string, { untilMs: number; forgetAtMs: number; failures: number }>()
  const pace = createPace(clock)
  /** The last invalidation of each entry alone; of the others, the last time when these were forgotten. */
  const epochs = new Map<string, string>()
  let otherEpoch = ''
  let generation: Generation = { hard: nonce(), soft: nonce() }

  const epochOf = (key: string) => epochs.get(key) ?? otherEpoch
  const nameOf = ({ hard, soft }: Generation) => `${hard}.${soft}`

  /** The lease of a key, if it has not ended. (`invalidate` drops the leases of older generations.) */
  function currentLease(key: string, now: number): (Lease & { untilMs: number }) | undefined {
    const lease = leases.get(key)
    return lease !== undefined && lease.untilMs > now ? lease : undefined
  }

  function isHeld(key: string, lease: Lease, now: number): boolean {
    return currentLease(key, now)?.token === lease.token
  }

  /** @param isRead whether a caller reads the value: it is kept for its whole time from then on. */
  function find(key: string, now: number, isRead: boolean): StoredValue | undefined {
    const entry = entries.get(key)
    if (entry === undefined) return undefined
    if (entry.generation.hard !== generation.hard || entry.keptUntilMs <= now) {
      entries.delete(key)
      return undefined
    }
    if (isRead) entry.keptUntilMs = entry.keptUntilIfReadMs
    const isSoftlyOutdated = entry.generation.soft !== generation.soft
    const ttlMs = isSoftlyOutdated ? Math.min(0, entry.expiresAtMs - now) : entry.expiresAtMs - now
    return { value: entry.value, ageMs: now - entry.committedAtMs, ttlMs }
  }

  function acquire(key: string, { token, leaseMs, force = false }: AcquireRequest): Acquired {
    const now = clock.now()
    const found = find(key, now, true)
    const current = nameOf(generation)
    if (found !== undefined && found.ttlMs > 0 && !force) return { state: 'hit', generation: current, found }
    const held = currentLease(key, now)
    if (held?.token === token) return { state: 'lease', generation: current, lease: held, found }
    if (held !== undefined) return { state: 'wait', generation: current, retryAfterMs: held.untilMs - now, found }
    const coolUntilMs = coolDowns.get(key)?.untilMs ?? 0
    if (coolUntilMs > now) return { state: 'cooling', generation: current, retryAfterMs: coolUntilMs - now, found }
    const lease = { token, generation: current, replaces: entries.peek(key)?.name ?? '', epoch: epochOf(key) }
    leases.set(key, { ...lease, untilMs: now + leaseMs })
    return { state: 'lease', generation: current, lease, found }
  }

  function isKnown(mode: InvalidateMode, cause: string | undefined): boolean {
    return cause !== undefined && (causes.get(`${mode}:${cause}`) ?? 0) > clock.now()
  }

  function end(mode: InvalidateMode, cause: string | undefined, isByChange: boolean): void {
    if (cause !== undefined) causes.set(`${mode}:${cause}`, clock.now() + CAUSE_KNOWN_MS)
    generation = { hard: mode === 'hard' ? nonce() : generation.hard, soft: nonce() }
    leases.clear()
    if (mode === 'hard') entries.clear()
    pace.ended(mode, isByChange)
  }

  return {
    peek(key) {
      const found = find(key, clock.now(), true)
      return found !== undefined && found.ttlMs > 0 ? found : undefined
    },

    acquire: async (key, request) => acquire(key, request),

    async commit(key, lease, value, { ttlMs, keepForMs, unreadForMs = keepForMs, loadedInMs = 0 }) {
      const now = clock.now()
      pace.loaded(loadedInMs)
      if (lease.generation !== nameOf(generation)) {
        return lease.generation.startsWith(`${generation.hard}.`) ? 'outdated' : 'outdated-hard'
      }
      if (lease.epoch !== epochOf(key)) return 'outdated-hard'
      find(key, now, false)
      const known = entries.peek(key)
      if (known?.name === lease.token) return 'stored'
      const held = currentLease(key, now)
      if (held !== undefined && held.token !== lease.token) return 'lost'
      if (known?.generation === generation && known.name !== lease.replaces) return 'lost'
      leases.delete(key)
      coolDowns.delete(key)
      for (const [other, { keptUntilMs }] of entries.entries()) if (keptUntilMs <= now) entries.delete(other)
      entries.set(key, {
        name: lease.token,
        value,
        generation,
        committedAtMs: now,
        expiresAtMs: now + ttlMs,
        keptUntilMs: now + unreadForMs,
        keptUntilIfReadMs: now + keepForMs,
      })
      return 'stored'
    },

    async renew(key, lease, leaseMs) {
      const now = clock.now()
      if (!isHeld(key, lease, now)) return false
      leases.set(key, { ...lease, untilMs: now + leaseMs })
      return true
    },

    async fail(key, lease, { firstMs, maxMs }) {
      const now = clock.now()
      const found = find(key, now, false)
      if (!isHeld(key, lease, now)) return { coolDownMs: 0, found }
      leases.delete(key)
      for (const [other, { forgetAtMs }] of coolDowns) if (forgetAtMs <= now) coolDowns.delete(other)
      const failures = (coolDowns.get(key)?.failures ?? 0) + 1
      const coolDownMs = Math.min(firstMs * 2 ** (failures - 1), maxMs)
      coolDowns.set(key, { failures, untilMs: now + coolDownMs, forgetAtMs: now + coolDownMs + 2 * maxMs })
      return { coolDownMs, found }
    },

    async release(key, { token }) {
      if (leases.get(key)?.token === token) leases.delete(key)
    },

    async invalidate(mode, cause) {
      if (isKnown(mode, cause)) return false
      end(mode, cause, false)
      return true
    },

    async invalidateKey(key) {
      const epoch = nonce()
      if (epochs.size >= MAX_EPOCHS) {
        epochs.clear()
        otherEpoch = epoch
      }
      epochs.set(key, epoch)
      entries.delete(key)
      leases.delete(key)
      coolDowns.delete(key)
    },

    async invalidateForChange(mode, { cause, after = Number.POSITIVE_INFINITY }) {
      const isCovered = isKnown(mode, cause) || pace.ends(mode) > after
      const state = isCovered ? 'known' : pace.leftMs(mode) > 0 ? 'paced' : 'ended'
      if (state === 'ended') end(mode, cause, true)
      return { state, pauseMs: pace.leftMs(mode), ends: pace.ends(mode) }
    },

    generation: async () => nameOf(generation),
    size: () => ({ entries: entries.size, bytes: entries.calculatedSize }),
  }
}
