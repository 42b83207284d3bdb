import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import { CAUSE_KNOWN_MS } from './protocol.ts'
import type { Acquired, AcquireRequest, Lease, Store, StoredValue } from './store.ts'

interface Generation {
  hard: string
  soft: string
}

interface Entry {
  value: Uint8Array
  generation: Generation
  committedAtMs: number
  expiresAtMs: number
  keptUntilMs: number
  /** Until when it is kept once it was asked for again. */
  lastsUntilMs: number
}

interface MemoryStoreOptions {
  clock: Clock
  /** A new random name, never the same twice. */
  nonce: () => string
  /** How many values are kept at most; the least recently used goes first. Default 1,000. */
  maxEntries?: number
  /** How many bytes the values may take together. Default 64 MiB. */
  maxBytes?: number
}

export interface MemoryStore extends Store {
  /** What is held now. */
  size(): { entries: number; bytes: number }
}

/**
 * A store in this process's memory: for one process, or as the model that the store on Redis is compared with.
 * Values are capped in number and bytes. Leases and cool-downs are not evicted, but there is never more than one for
 * each load under way or recently failed, and those that ran out are dropped as others come.
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
    sizeCalculation: (entry) => Math.max(1, entry.value.byteLength),
  })
  const leases = new Map<string, Lease & { untilMs: number }>()
  /** What it was invalidated for, and until when that is known. */
  const causes = new LRUCache<string, number>({ max: 1000 })
  const coolDowns = new Map<string, { untilMs: number; forgetAtMs: number; failures: number }>()
  let generation: Generation = { hard: nonce(), soft: nonce() }

  const nameOf = ({ hard, soft }: Generation) => `${hard}.${soft}`

  /** The lease of a key, if somebody holds it now. (Those of older generations are gone: see `invalidate`.) */
  function currentLease(key: string, now: number): (Lease & { untilMs: number }) | undefined {
    const lease = leases.get(key)
    return lease !== undefined && lease.untilMs > now ? lease : undefined
  }

  function isHeld(key: string, lease: Lease, now: number): boolean {
    return currentLease(key, now)?.token === lease.token
  }

  /** @param isAsked whether a caller asks for the value, which is kept for its whole time then. */
  function find(key: string, now: number, isAsked: boolean): StoredValue | undefined {
    const entry = entries.get(key)
    if (entry === undefined) return undefined
    if (entry.generation.hard !== generation.hard || entry.keptUntilMs <= now) {
      entries.delete(key)
      return undefined
    }
    if (isAsked) entry.keptUntilMs = entry.lastsUntilMs
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
    if (held !== undefined) return { state: 'wait', generation: current, retryAfterMs: held.untilMs - now, found }
    const coolUntilMs = coolDowns.get(key)?.untilMs ?? 0
    if (coolUntilMs > now) return { state: 'cooling', generation: current, retryAfterMs: coolUntilMs - now, found }
    const lease = { token, generation: current }
    leases.set(key, { ...lease, untilMs: now + leaseMs })
    return { state: 'lease', generation: current, lease, found }
  }

  return {
    peek(key) {
      const found = find(key, clock.now(), true)
      return found !== undefined && found.ttlMs > 0 ? found : undefined
    },

    acquire: async (key, request) => acquire(key, request),

    async commit(key, lease, value, { ttlMs, keepForMs, unreadForMs = keepForMs }) {
      const now = clock.now()
      if (lease.generation !== nameOf(generation)) {
        return lease.generation.startsWith(`${generation.hard}.`) ? 'outdated' : 'outdated-hard'
      }
      const held = currentLease(key, now)
      if (held !== undefined && held.token !== lease.token) return 'lost'
      leases.delete(key)
      coolDowns.delete(key)
      for (const [other, { keptUntilMs }] of entries.entries()) if (keptUntilMs <= now) entries.delete(other)
      entries.set(key, {
        value,
        generation,
        committedAtMs: now,
        expiresAtMs: now + ttlMs,
        keptUntilMs: now + unreadForMs,
        lastsUntilMs: now + keepForMs,
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
      if (cause !== undefined) {
        const [name, now] = [`${mode}:${cause}`, clock.now()]
        if ((causes.get(name) ?? 0) > now) return false
        causes.set(name, now + CAUSE_KNOWN_MS)
      }
      generation = { hard: mode === 'hard' ? nonce() : generation.hard, soft: nonce() }
      leases.clear()
      if (mode === 'hard') entries.clear()
      return true
    },

    generation: async () => nameOf(generation),
    size: () => ({ entries: entries.size, bytes: entries.calculatedSize }),
  }
}
