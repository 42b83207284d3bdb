import type { IncomingHttpHeaders } from 'node:http'
import { LRUCache } from 'lru-cache'
import { createBotMemory } from './bots.ts'
import { shortened } from './strangers-text.ts'
import type { ViewBuffer } from './view-buffer.ts'
import { daysOfView, pseudonym } from './visitor.ts'

/** What is needed of a request; Fastify's has it. */
export interface ViewRequest {
  method: string
  /** The client's address, as the server trusts it. */
  ip: string
  headers: IncomingHttpHeaders
}

interface PostView {
  postId: string
  request: ViewRequest
  userId?: string | undefined
}

/**
 * What became of a view: `counted`; or not a reader's (`bot`, `prefetch`: also HEAD), or not a new one (`repeat`); or
 * `dropped`, because the buffer, or the database to look the post up, could not be reached.
 */
export type ViewOutcome = 'counted' | 'repeat' | 'bot' | 'prefetch' | 'dropped'

interface RecorderOptions {
  buffer: ViewBuffer
  /** A visitor counts once a post in this time. */
  dedupSeconds: number
  /** The present, in milliseconds since the epoch. */
  now: () => number
  /** The start of the quarter of an hour that a moment is in. */
  bucketStart: (timeMs: number) => number
}

/** For how long a process makes pseudonyms with a salt before it asks whether that is still the one. */
const SALT_KEPT_MS = 60_000

/** Judges views, and puts those of readers into the buffer. Rejects with what the buffer answered. */
export function createRecorder({ buffer, dedupSeconds, now, bucketStart }: RecorderOptions) {
  const isBot = createBotMemory()
  const salts = new LRUCache<string, Buffer>({ max: 3, ttl: SALT_KEPT_MS, fetchMethod: (day) => buffer.salt(day) })

  async function add({ postId, request, userId }: PostView, userAgent: string): Promise<boolean> {
    const timeMs = now()
    const visitor = { address: request.ip, userAgent, userId }
    const nameIn = async (day: string) => pseudonym(visitor, postId, await salts.forceFetch(day))
    const [today, ...others] = daysOfView(timeMs, dedupSeconds)
    return buffer.add({
      visitors: [await nameIn(today), ...(await Promise.all(others.map(nameIn)))],
      postId,
      bucketStartMs: bucketStart(timeMs),
      timeMs,
    })
  }

  return async function record(view: PostView): Promise<ViewOutcome> {
    const { headers, method } = view.request
    const userAgent = shortened(headers['user-agent'] ?? '')
    if (method === 'HEAD' || isPrefetch(headers)) return 'prefetch'
    if (isBot(userAgent)) return 'bot'
    return (await add(view, userAgent)) ? 'counted' : 'repeat'
  }
}

/** Fetched for later, as the browser thinks: nobody has seen it yet. */
function isPrefetch(headers: IncomingHttpHeaders): boolean {
  const purposes = [headers['sec-purpose'], headers['purpose'], headers['x-moz'], headers['x-purpose']]
  return purposes.some((purpose) => /prefetch|prerender|preview/i.test(shortened(String(purpose ?? ''))))
}
