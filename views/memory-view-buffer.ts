import { randomBytes } from 'node:crypto'
import { type BufferedViews, MAX_BATCHES, type ViewBuffer } from './view-buffer.ts'

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
  const salts = new Map<string, Buffer>()
  let buffer = new Map<string, BufferedViews>()

  const isWithin = (windows: number, countedAtMs: number, timeMs: number) =>
    Math.abs(timeMs - countedAtMs) < windows * dedupSeconds * 1000

  /** Two windows are kept: a clock that goes back by one still finds what is a repeat. */
  function forget(timeMs: number): void {
    for (const [visitor, countedAtMs] of seen) {
      if (seen.size <= maxVisitors && isWithin(2, countedAtMs, timeMs)) break
      seen.delete(visitor)
    }
  }

  return {
    async add({ visitors, postId, quarterMs, timeMs }) {
      if (visitors.some((visitor) => isWithin(1, seen.get(visitor) ?? Number.NEGATIVE_INFINITY, timeMs))) return false
      seen.delete(visitors[0])
      seen.set(visitors[0], timeMs)
      forget(timeMs)
      const field = `${quarterMs} ${postId}`
      const known = buffer.get(field)
      if (known === undefined) buffer.set(field, { postId, quarterMs, views: 1 })
      else known.views += 1
      return true
    },

    async take(id) {
      if (buffer.size > 0 && batches.size < MAX_BATCHES) {
        batches.set(id, [...buffer.values()])
        buffer = new Map()
      }
      return [...batches.keys()]
    },

    read: async (id) => batches.get(id) ?? [],

    async drop(id) {
      batches.delete(id)
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
