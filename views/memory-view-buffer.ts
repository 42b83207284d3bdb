import { randomBytes } from 'node:crypto'
import { createReaderLimit } from './reader-limit.ts'
import { MAX_ASIDE, MAX_BATCH_COUNTS, MAX_BATCHES, type ViewBuffer, type ViewCount } from './view-buffer.ts'

interface MemoryViewBufferOptions {
  /** A visitor of a post counts once in this time. */
  dedupSeconds: number
  /** The most visitors that are remembered; the oldest are removed first. Default 500,000. */
  maxVisitors?: number
}

/** Creates a buffer in the memory of this process. Its views are lost when the process is killed. */
export function createMemoryViewBuffer({ dedupSeconds, maxVisitors = 500_000 }: MemoryViewBufferOptions): ViewBuffer {
  const isAdmitted = createReaderLimit({ windowMs: dedupSeconds * 1000, maxNetworks: maxVisitors })
  /** The time at which each visitor was counted, oldest first. */
  const seen = new Map<string, number>()
  const batches = new Map<string, ViewCount[]>()
  /** The time at which each batch that is set aside is due, by the clock of the process. */
  const aside = new Map<string, number>()
  const salts = new Map<string, Buffer>()
  const buffer = new Map<string, ViewCount>()
  /** Continues after the last entry that was taken. A new iterator would step over the slots of all removed entries. */
  let entries = buffer.entries()

  const isWithin = (windows: number, countedAtMs: number, timeMs: number) =>
    Math.abs(timeMs - countedAtMs) < windows * dedupSeconds * 1000

  /** Keeps two windows, so that repeats are still found after the clock goes back by one window. */
  function evict(timeMs: number): void {
    for (const [visitor, countedAtMs] of seen) {
      if (seen.size <= maxVisitors && isWithin(2, countedAtMs, timeMs)) break
      seen.delete(visitor)
    }
  }

  /** Removes the oldest counts of the buffer, and returns them. */
  function takeOldest(): ViewCount[] {
    const taken: ViewCount[] = []
    while (taken.length < MAX_BATCH_COUNTS) {
      const { value, done } = entries.next()
      if (done === true) {
        entries = buffer.entries()
        break
      }
      buffer.delete(value[0])
      taken.push(value[1])
    }
    return taken
  }

  return {
    async add({ visitors, postId, place, bucketStartMs, timeMs }) {
      if (visitors.some((visitor) => isWithin(1, seen.get(visitor) ?? Number.NEGATIVE_INFINITY, timeMs)))
        return 'repeat'
      if (place !== undefined && !isAdmitted(place, timeMs)) return 'limited'
      seen.delete(visitors[0])
      seen.set(visitors[0], timeMs)
      evict(timeMs)
      const field = `${bucketStartMs} ${postId}`
      const known = buffer.get(field)
      if (known === undefined) buffer.set(field, { postId, bucketStartMs, views: 1 })
      else known.views += 1
      return 'counted'
    },

    async take(id) {
      const isMade = buffer.size > 0 && batches.size - aside.size < MAX_BATCHES
      if (isMade) batches.set(id, takeOldest())
      const nowMs = performance.now()
      const isDue = (batchId: string) => (aside.get(batchId) ?? 0) <= nowMs
      const ids = [...batches.keys()]
      const made = isMade ? [id] : []
      return { made, ids: ids.filter(isDue), aside: ids.filter((batchId) => !isDue(batchId)), left: buffer.size }
    },

    read: async (id) => batches.get(id) ?? [],

    async drop(id) {
      batches.delete(id)
      aside.delete(id)
    },

    async setAside(id, delayMs) {
      if (!batches.has(id)) return true
      if (!aside.has(id) && aside.size >= MAX_ASIDE) return false
      aside.set(id, performance.now() + delayMs)
      return true
    },

    async salt(day) {
      let salt = salts.get(day)
      if (salt === undefined) {
        // Salts of three days are kept: the present day, and its neighbours for views near midnight.
        for (const other of [...salts.keys()].sort().slice(0, -2)) salts.delete(other)
        salt = randomBytes(32)
        salts.set(day, salt)
      }
      return salt
    },
  }
}
