import { LRUCache } from 'lru-cache'
import type { JsonObject } from './json-object.ts'

/** Requests without an answer: a process that was killed leaves some. The oldest are forgotten. */
const MAX_OPEN = 10_000

/**
 * Joins the two lines that Fastify writes for a request: `incoming request` with `req`, and `request completed` with
 * `res` and the same `reqId`.
 */
export function createPinoPairs() {
  const open = new LRUCache<string, JsonObject>({ max: MAX_OPEN })
  return {
    /** @returns the object with the parts of both lines; `null`: the line is the first of two, or a message of the app. */
    join(object: JsonObject): JsonObject | null {
      if (!isPino(object)) return object
      const { req, res, reqId } = object
      if (req !== undefined && res !== undefined) return object
      const key = `${object['hostname']} ${object['pid']} ${reqId}`
      if (req !== undefined) {
        open.set(key, object)
        return null
      }
      if (res === undefined) return null
      const begun = open.get(key)
      open.delete(key)
      return begun === undefined ? object : { ...begun, res }
    },
  }
}

function isPino({ level, pid, hostname, msg }: JsonObject): boolean {
  return typeof level === 'number' && typeof pid === 'number' && typeof hostname === 'string' && typeof msg === 'string'
}
