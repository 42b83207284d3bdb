import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import type { StoredValue } from './store.ts'

/** Copies of a shared store's values in this process. */
export interface NearCache {
  /**
   * Returns a copy whose generation is verified: a fresh one, or a stale one that was put with `held`, until its time
   * has passed. Synchronous.
   */
  find(key: string): FoundCopy | undefined
  /**
   * Asks the store for the generation, if `key` has a copy that is not verified. Calls at the same time share one
   * request. Never rejects: without a reply the copy stays unverified.
   */
  verify(key: string): Promise<void>
  /** Records that this generation is current, by the store's reply to a request sent at `requestedAtMs`. */
  verified(generation: string, requestedAtMs: number): void
  /**
   * Puts a copy of a value of that generation, from the store's reply to a request sent at `requestedAtMs`.
   * @param held for a stale value: `find` returns the copy for this long. It does not replace a fresh copy.
   */
  put(key: string, value: StoredValue, generation: string, requestedAtMs: number, held?: Held): void
  /** The store has a newer value: a stale copy of `key` is not returned any more. */
  dropStale(key: string): void
  /** Marks all copies unverified: none is returned until the generation has been read from the store again. */
  markUnverified(): void
  /** Drops all copies. */
  clear(): void
}

/** For how long a stale copy is returned (ms, from the request), and why. */
interface Held {
  forMs: number
  /** The value is stale because the last load failed. */
  isFailSafe: boolean
}

/** A copy; stale if its `ttlMs` is 0 or less. */
export interface FoundCopy extends StoredValue {
  /** Only of a stale copy: it is stale because the last load failed. */
  isFailSafe?: boolean
}

interface NearCacheOptions {
  clock: Clock
  /** Reads the current generation from the shared store. */
  generation: () => Promise<string | undefined>
  /** For how long a generation counts as verified, from the request to the store (ms). */
  maxStaleMs: number
  /**
   * Whether the generation is verified ahead, in the background, when half of `maxStaleMs` has passed. Copies are
   * served while the request runs, so no read waits for it.
   */
  backgroundWork: boolean
  /** The least recently used copy is dropped first. Default 500. */
  maxEntries?: number
  /** Bytes of all values and keys. Default 32 MiB. */
  maxBytes?: number
}

interface Copy {
  value: Uint8Array
  generation: string
  committedAtMs: number
  expiresAtMs: number
  held: { untilMs: number; isFailSafe: boolean } | undefined
}

/**
 * Creates a cache in the process, in front of a shared store.
 *
 * Validity is measured from when the generation was last *requested* from the store. The reply is at least as new, so a
 * copy is served at most `maxStaleMs` after an invalidation, even if pub/sub messages are lost or this process is
 * suspended. One request verifies all copies.
 */
export function createNearCache({
  clock,
  generation,
  maxStaleMs,
  backgroundWork,
  maxEntries = 500,
  maxBytes = 32 * 2 ** 20,
}: NearCacheOptions): NearCache {
  const copies = new LRUCache<string, Copy>({
    max: maxEntries,
    maxSize: maxBytes,
    sizeCalculation: ({ value }, key) => value.byteLength + key.length,
  })
  const UNKNOWN = { generation: '', requestedAtMs: Number.NEGATIVE_INFINITY }
  let current = UNKNOWN
  let unverifiedSinceMs = Number.NEGATIVE_INFINITY
  let verification: Promise<void> | undefined
  /** The value of `current` at the last verification ahead: one request for each. */
  let verifiedFor = UNKNOWN

  const isRecent = (now: number) => now - current.requestedAtMs < maxStaleMs

  function verified(confirmed: string, requestedAtMs: number): void {
    // Replies come in any order. A reply to a request from before `markUnverified` does not reflect what happened in
    // between.
    if (requestedAtMs >= current.requestedAtMs && requestedAtMs >= unverifiedSinceMs)
      current = { generation: confirmed, requestedAtMs }
  }

  async function requestGeneration(): Promise<void> {
    const requestedAtMs = clock.now()
    try {
      verified((await generation()) ?? '', requestedAtMs)
    } catch {
      // The store is out of reach: copies stay unverified, and the read that follows asks the store itself.
    }
  }

  function startVerification(): Promise<void> {
    const started = requestGeneration().finally(() => {
      // After `markUnverified` a later verification may run.
      if (verification === started) verification = undefined
    })
    return started
  }

  function verifyAhead(now: number): void {
    if (verification !== undefined || verifiedFor === current || now - current.requestedAtMs < maxStaleMs / 2) return
    verifiedFor = current
    verification = startVerification()
  }

  return {
    find(key) {
      const now = clock.now()
      const copy = copies.get(key)
      if (copy?.generation !== current.generation || !isRecent(now)) return undefined
      const { value, committedAtMs, expiresAtMs, held } = copy
      const ageMs = now - committedAtMs
      const ttlMs = expiresAtMs - now
      if (ttlMs > 0) {
        if (backgroundWork) verifyAhead(now)
        return { value, ageMs, ttlMs }
      }
      if (held === undefined || held.untilMs <= now) return undefined
      return { value, ageMs, ttlMs, isFailSafe: held.isFailSafe }
    },
    async verify(key) {
      if (isRecent(clock.now()) || !copies.has(key)) return
      verification ??= startVerification()
      await verification
    },
    verified,
    put(key, { value, ageMs, ttlMs }, ofGeneration, requestedAtMs, held) {
      const known = copies.peek(key)
      // Replies come in any order: a fresh value may have been put while the reply with this stale one was on its way.
      const isFresher = known?.generation === ofGeneration && known.expiresAtMs > clock.now()
      if (held !== undefined && isFresher) return
      copies.set(key, {
        // The old array, if the bytes are equal: callers cache decoded lists and headers in WeakMaps keyed by the
        // array.
        value: known !== undefined && Buffer.compare(known.value, value) === 0 ? known.value : value,
        generation: ofGeneration,
        // Counted from the request: the reply may have been delayed, or this process suspended.
        committedAtMs: requestedAtMs - ageMs,
        expiresAtMs: requestedAtMs + ttlMs,
        held: held && { untilMs: requestedAtMs + held.forMs, isFailSafe: held.isFailSafe },
      })
    },
    dropStale(key) {
      const known = copies.peek(key)
      if (known !== undefined) known.held = undefined
    },
    markUnverified() {
      current = UNKNOWN
      unverifiedSinceMs = clock.now()
      verification = undefined
    },
    clear() {
      copies.clear()
    },
  }
}
