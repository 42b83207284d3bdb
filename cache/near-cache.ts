import { LRUCache } from 'lru-cache'
import type { Clock } from '../lib/clock.ts'
import type { StoredValue } from './store.ts'

/** Copies of a shared store's values in this process. */
export interface NearCache {
  /** A copy that is fresh, and of a generation that was current less than the bound ago. */
  find(key: string): StoredValue | undefined
  /** A copy that is stale, of a generation as current, which the store has answered a moment ago, and may be served again. */
  findHeld(key: string): HeldValue | undefined
  /** Looks at the generation where a copy only lacks that; one look for all who ask meanwhile. Never rejects. */
  verify(key: string): Promise<void>
  /** The store has said, to a question of `askedAtMs`, that this generation is current. */
  verified(generation: string, askedAtMs: number): void
  /** Keeps a copy of a value of that generation, which the store gave to a question of `askedAtMs`. */
  put(key: string, value: StoredValue, generation: string, askedAtMs: number): void
  /** The same for a stale value, for so long, or until it is released: whoever comes meanwhile need not ask the store again. */
  hold(key: string, value: StoredValue, generation: string, askedAtMs: number, held: Held): void
  /** The store has a newer value. */
  dropStale(key: string): void
  /** Something may have been invalidated: no copy is served before the next look. */
  markUnverified(): void
  clear(): void
}

interface Held {
  forMs: number
  /** It is stale because loading fails. */
  isFailSafe: boolean
}

export interface HeldValue extends StoredValue, Pick<Held, 'isFailSafe'> {}

interface NearCacheOptions {
  clock: Clock
  /** The current generation, from the shared store. */
  generation: () => Promise<string | undefined>
  /** For how long after the store was last asked a copy is served without asking it. */
  maxStaleMs: number
  /** Whether the next look is made while copies are still served, when half of that has passed: so that no read waits for it. */
  backgroundWork: boolean
  maxEntries?: number
  maxBytes?: number
}

interface Copy {
  value: Uint8Array
  generation: string
  committedAtMs: number
  expiresAtMs: number
  held?: { untilMs: number; isFailSafe: boolean } | undefined
}

/**
 * A cache in the process, in front of a shared store.
 *
 * No copy is served on the word of a message that might be lost: what counts is when the store was last *asked* for the
 * generation. It answered later than that, so a copy is served for at most `maxStaleMs` after an invalidation, whatever
 * happens to pub/sub, and to this process in between. One look covers all copies at once.
 */
export function createNearCache({
  clock,
  generation,
  maxStaleMs,
  backgroundWork: looksAhead,
  maxEntries = 500,
  maxBytes = 32 * 2 ** 20,
}: NearCacheOptions): NearCache {
  const copies = new LRUCache<string, Copy>({
    max: maxEntries,
    maxSize: maxBytes,
    sizeCalculation: ({ value }) => Math.max(1, value.byteLength),
  })
  const UNKNOWN = { generation: '', askedAtMs: Number.NEGATIVE_INFINITY }
  let confirmed = UNKNOWN
  let doubtedAtMs = Number.NEGATIVE_INFINITY
  let look: Promise<void> | undefined
  /** What was confirmed when the last look ahead began: one look for each. */
  let aheadOf = UNKNOWN

  const isRecent = (now: number) => now - confirmed.askedAtMs < maxStaleMs

  function confirm(current: string, askedAtMs: number): void {
    // Answers come in any order. One to a question from before a doubt says nothing about what came in between.
    if (askedAtMs >= confirmed.askedAtMs && askedAtMs >= doubtedAtMs) confirmed = { generation: current, askedAtMs }
  }

  async function lookOnce(): Promise<void> {
    const askedAtMs = clock.now()
    try {
      confirm((await generation()) ?? '', askedAtMs)
    } catch {
      // The store is out of reach: copies stay unserved, and whoever asks for the entry is told by the store itself.
    }
  }

  function shareLook(): Promise<void> {
    const shared = lookOnce().finally(() => {
      // After a doubt the place may be another's.
      if (look === shared) look = undefined
    })
    return shared
  }

  function lookAhead(now: number): void {
    if (look !== undefined || aheadOf === confirmed || now - confirmed.askedAtMs < maxStaleMs / 2) return
    aheadOf = confirmed
    look = shareLook()
  }

  function keep(
    key: string,
    { value, ageMs, ttlMs }: StoredValue,
    ofGeneration: string,
    askedAtMs: number,
    held?: Copy['held'],
  ): void {
    // Counted from the question: the answer may have lain about, and this process slept, before it came here.
    const [committedAtMs, expiresAtMs] = [askedAtMs - ageMs, askedAtMs + ttlMs]
    const known = copies.peek(key)
    // The same bytes stay the same object: what was made of them goes with it.
    const bytes = known !== undefined && Buffer.compare(known.value, value) === 0 ? known.value : value
    copies.set(key, { value: bytes, generation: ofGeneration, committedAtMs, expiresAtMs, held })
  }

  /** A copy of a generation that was current less than the bound ago, fresh or not. */
  function current(key: string, now: number): Copy | undefined {
    const copy = copies.get(key)
    return copy?.generation === confirmed.generation && isRecent(now) ? copy : undefined
  }

  function storedValue({ value, committedAtMs, expiresAtMs }: Copy, now: number): StoredValue {
    return { value, ageMs: now - committedAtMs, ttlMs: expiresAtMs - now }
  }

  return {
    find(key) {
      const now = clock.now()
      const copy = current(key, now)
      if (copy === undefined || copy.expiresAtMs <= now) return undefined
      if (looksAhead) lookAhead(now)
      return storedValue(copy, now)
    },
    findHeld(key) {
      const now = clock.now()
      const copy = current(key, now)
      if (copy?.held === undefined || copy.held.untilMs <= now) return undefined
      return { ...storedValue(copy, now), isFailSafe: copy.held.isFailSafe }
    },
    async verify(key) {
      if (isRecent(clock.now()) || !copies.has(key)) return
      look ??= shareLook()
      await look
    },
    verified: confirm,
    put: keep,
    hold(key, value, ofGeneration, askedAtMs, { forMs, isFailSafe }) {
      // Answers come in any order: this one may have been on its way while a fresh value was put.
      const known = copies.peek(key)
      if (known?.generation === ofGeneration && known.expiresAtMs > clock.now()) return
      keep(key, value, ofGeneration, askedAtMs, { untilMs: askedAtMs + forMs, isFailSafe })
    },
    dropStale(key) {
      const known = copies.peek(key)
      if (known !== undefined) known.held = undefined
    },
    markUnverified() {
      confirmed = UNKNOWN
      doubtedAtMs = clock.now()
      look = undefined
    },
    clear() {
      copies.clear()
    },
  }
}
