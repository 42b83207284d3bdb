import { randomBytes } from 'node:crypto'
import { BATCH_NUMBERS, type BufferedViews, MAX_ASIDE, MAX_BATCHES, type ViewBuffer } from './view-buffer.ts'

interface MemoryViewBufferOptions {
  /** A visitor counts once a post in this time. */
  dedupSeconds: number
  /** How many visitors are remembered at most; the longest known is forgotten first. Default 500,000. */
  maxVisitors?: number
}

/** A buffer in this process's memory. What it holds when the process is killed is lost. */
export function createMemoryViewBuffer({ dedupSeconds, maxVisitors = 500_000 }: MemoryViewBufferOptions): ViewBuffer {
  /** When each visitor was counted, oldest first. */
  const seen = new Map<string, number>()
  const batches = new Map<string, BufferedViews[]>()
  /** When each batch that is set aside is due, by the clock of the process. */
  const aside = new Map<string, number>()
  const salts = new Map<string, Buffer>()
  const buffer = new Map<string, BufferedViews>()
  /** Goes on where the last part ended: a new one would pass over the room of all that was taken before. */
  let entries = buffer.entries()

  const isWithin = (windows: number, countedAtMs: number, timeMs: number) =>
    Math.abs(timeMs - countedAtMs) < windows * dedupSeconds * 1000

  /** Two windows are kept: a clock that goes back by one still finds what is a repeat. */
  function forget(timeMs: number): void {
    for (const [visitor, countedAtMs] of seen) {
      if (seen.size <= maxVisitors && isWithin(2, countedAtMs, timeMs)) break
      seen.delete(visitor)
    }
  }

  /** Takes the first numbers of the buffer, in the order in which they came. */
  function takeSome(): BufferedViews[] {
    const taken: BufferedViews[] = []
    while (taken.length < BATCH_NUMBERS) {
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
    async add({ visitors, postId, bucketStartMs, timeMs }) {
      if (visitors.some((visitor) => isWithin(1, seen.get(visitor) ?? Number.NEGATIVE_INFINITY, timeMs))) return false
      seen.delete(visitors[0])
      seen.set(visitors[0], timeMs)
      forget(timeMs)
      const field = `${bucketStartMs} ${postId}`
      const known = buffer.get(field)
      if (known === undefined) buffer.set(field, { postId, bucketStartMs, views: 1 })
      else known.views += 1
      return true
    },

    async take(id) {
      if (buffer.size > 0 && batches.size - aside.size < MAX_BATCHES) batches.set(id, takeSome())
      const nowMs = performance.now()
      const isDue = (batchId: string) => (aside.get(batchId) ?? 0) <= nowMs
      const ids = [...batches.keys()]
      return { ids: ids.filter(isDue), aside: ids.filter((batchId) => !isDue(batchId)), left: buffer.size }
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
        // Of three days: the present one, and those around it for views near midnight.
        for (const other of [...salts.keys()].sort().slice(0, -2)) salts.delete(other)
        salt = randomBytes(32)
        salts.set(day, salt)
      }
      return salt
    },
  }
}
