import type { IncomingHttpHeaders } from 'node:http'
import { LRUCache } from 'lru-cache'
import { createBotDetector } from './bots.ts'
import { truncate } from './client-text.ts'
import { isPrefetch } from './prefetch.ts'
import type { ViewBuffer } from './view-buffer.ts'
import { daysOfView, pseudonym } from './visitor.ts'

/** The part of a request that tells readers from bots, and one reader from another. A `FastifyRequest` has it. */
export interface RequestInfo {
  /** The HTTP method; `HEAD` does not count as a view. */
  method: string
  /** The address of the client. Behind a proxy, set Fastify's `trustProxy`. */
  ip: string
  /** The headers of the request, with names in lower case. */
  headers: IncomingHttpHeaders
}

/** A view of a post that exists. */
interface JudgedView {
  postId: string
  request: RequestInfo
  userId?: string | undefined
}

/**
 * The outcome of a view. `counted`: it is in the buffer. `repeat`: the reader has been counted within `viewDedupSeconds`.
 * `bot`: a bot sent it. `prefetch`: the browser loaded the page ahead (a page that the reader then sees sends no further
 * request: only a script in it can count the view), or the method is HEAD. `dropped`: it is lost, because Redis or the
 * database did not reply.
 */
export type ViewOutcome = 'counted' | 'repeat' | 'bot' | 'prefetch' | 'dropped'

interface RecorderOptions {
  buffer: ViewBuffer
  /** A visitor of a post counts once in this time. */
  dedupSeconds: number
  /** The present time, in milliseconds since the epoch. */
  now: () => number
  /** Returns the start of the quarter of an hour of a time; both in milliseconds since the epoch. */
  bucketStart: (timeMs: number) => number
}

/** How long a process uses a salt before it reads it from the buffer again. */
const SALT_CACHE_MS = 60_000

/** Tells views of readers from those of bots, and adds the former to the buffer. Rejects with the error of the buffer. */
export function createRecorder({ buffer, dedupSeconds, now, bucketStart }: RecorderOptions) {
  const isBot = createBotDetector()
  const salts = new LRUCache<string, Buffer>({ max: 3, ttl: SALT_CACHE_MS, fetchMethod: (day) => buffer.salt(day) })

  async function add({ postId, request, userId }: JudgedView, userAgent: string): Promise<boolean> {
    const timeMs = now()
    const visitor = { address: request.ip, userAgent, userId }
    const pseudonymOf = async (day: string) => pseudonym(visitor, postId, await salts.forceFetch(day))
    const [today, ...others] = daysOfView(timeMs, dedupSeconds)
    return buffer.add({
      visitors: [await pseudonymOf(today), ...(await Promise.all(others.map(pseudonymOf)))],
      postId,
      bucketStartMs: bucketStart(timeMs),
      timeMs,
    })
  }

  return async function record(view: JudgedView): Promise<ViewOutcome> {
    const { headers, method } = view.request
    const userAgent = truncate(headers['user-agent'] ?? '')
    if (method === 'HEAD' || isPrefetch(headers)) return 'prefetch'
    if (isBot(userAgent)) return 'bot'
    return (await add(view, userAgent)) ? 'counted' : 'repeat'
  }
}
