import type { IncomingHttpHeaders } from 'node:http'
import { LRUCache } from 'lru-cache'
import type { Logger } from '../lib/logger.ts'
import { createRequestCheck } from '../lib/request-rules.ts'
import { createBotDetector } from './bots.ts'
import { truncate } from './client-text.ts'
import type { ClientRate } from './fleet-rate.ts'
import { isPrefetch } from './prefetch.ts'
import { isPrivate, untrustedHeader } from './untrusted-proxy.ts'
import type { AddResult, ViewBuffer } from './view-buffer.ts'
import { clientOf, daysOfView, originOf, placeOf, pseudonym, userIdOf } from './visitor.ts'

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
  /** See {@link userIdOf}. */
  userId?: unknown
  /** The limit of views of its client to all processes. Default: none. */
  rate?: ClientRate | undefined
}

/**
 * The outcome of a view. `counted`: it is in the buffer, or waits in this process until Redis takes it. `repeat`: the reader
 * has been counted within `viewDedupSeconds`. `bot`: a bot sent it. `prefetch`: the browser loaded the page ahead (a page that the reader then sees sends no further
 * request: only a script in it can count the view), or the method is HEAD. `ignored`: it matches the option `ignore`. `limited`: the limit `readersPerAddress` is reached, or, over HTTP, `viewsPerMinute` of all processes. `dropped`: it is lost, because Redis or the database did not reply.
 */
export type ViewOutcome = 'counted' | 'repeat' | 'bot' | 'prefetch' | 'ignored' | 'limited' | 'dropped'

/** No view of any outcome. */
export const NO_VIEWS: Readonly<Record<ViewOutcome, number>> = {
  counted: 0,
  repeat: 0,
  bot: 0,
  prefetch: 0,
  ignored: 0,
  limited: 0,
  dropped: 0,
}

interface RecorderOptions {
  buffer: ViewBuffer
  /** A visitor of a post counts once in this time. */
  dedupSeconds: number
  /** The option `readersPerAddress`. */
  readersPerAddress: number
  /** The option `ignore`. */
  ignore: readonly string[]
  /** The present time, in milliseconds since the epoch. */
  now: () => number
  /** Returns the start of the quarter of an hour of a time; both in milliseconds since the epoch. */
  bucketStart: (timeMs: number) => number
  /** How long a process uses a salt before it reads it from the buffer again (ms). Default 60,000. */
  saltMs?: number
  log: Pick<Logger, 'warn'>
}

const UNTRUSTED_PROXY =
  'popular posts: readers come from a private address. If it is the address of a proxy, all readers look like one: set ' +
  'TRUST_PROXY (in an app of your own trustProxy of Fastify) to the addresses of your proxies, and let them send X-Forwarded-For'

/** Tells views of readers from those of bots, and adds the former to the buffer. Rejects with the error of the buffer. */
export function createRecorder(options: RecorderOptions) {
  const { buffer, dedupSeconds, readersPerAddress, now, bucketStart, saltMs = 60_000, log } = options
  const isIgnored = createRequestCheck(options.ignore)
  let isProxyReported = false

  const isBot = createBotDetector()
  const salts = new LRUCache<string, Buffer>({
    max: 3,
    ttl: saltMs,
    fetchMethod: (day, known) =>
      buffer.salt(day).catch((error: unknown) => {
        // While Redis does not reply, the known salt is still the one of all processes.
        if (known !== undefined) return known
        throw error
      }),
  })

  /**
   * Logs the first request of a private address that is probably a proxy: a header names another address, or the address has as
   * many readers as only a proxy or a large network has.
   */
  function reportProxy(details: object): void {
    if (!isProxyReported) log.warn(details, UNTRUSTED_PROXY)
    isProxyReported = true
  }

  async function add({ postId, request, userId, rate }: JudgedView, userAgent: string): Promise<AddResult> {
    const timeMs = now()
    const { ip, headers } = request
    const header = untrustedHeader(ip, headers)
    if (header !== undefined) reportProxy({ header })
    const visitor = { address: ip, userAgent, userId }
    const pseudonymOf = async (day: string) => pseudonym(visitor, postId, await salts.forceFetch(day))
    const [today, ...others] = daysOfView(timeMs, dedupSeconds)
    // Behind a proxy that is not trusted, a limit would refuse readers.
    const isClient = header === undefined
    const isLimited = readersPerAddress > 0 && isClient && userIdOf(userId) === undefined
    const result = await buffer.add({
      visitors: [await pseudonymOf(today), ...(await Promise.all(others.map(pseudonymOf)))],
      postId,
      origin: originOf(visitor),
      place: isLimited ? placeOf(ip, postId, await salts.forceFetch(today), readersPerAddress) : undefined,
      client: rate && isClient ? { ...rate, pseudonym: clientOf(ip, await salts.forceFetch(today)) } : undefined,
      bucketStartMs: bucketStart(timeMs),
      timeMs,
    })
    if (result === 'limited' && isPrivate(ip)) reportProxy({})
    return result
  }

  return async function record(view: JudgedView): Promise<ViewOutcome> {
    const { headers, method } = view.request
    const userAgent = truncate(headers['user-agent'] ?? '')
    if (isIgnored(view.request)) return 'ignored'
    if (method === 'HEAD' || isPrefetch(headers)) return 'prefetch'
    return isBot(userAgent) ? 'bot' : add(view, userAgent)
  }
}
