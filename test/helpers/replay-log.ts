import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import Fastify from 'fastify'
import { createCombinedReader } from '../../bin/import-log/formats/combined.ts'
import { type PostPattern, requestedPost } from '../../bin/import-log/slug.ts'
import popularPosts from '../../index.ts'

const parseLine = createCombinedReader()

interface ReplayOptions {
  databaseUrl: string
  timeZone: string
  /** The time after the last line, in milliseconds since the epoch. */
  nowMs: number
  /** The pattern of the paths of posts. */
  post: PostPattern
}

/**
 * Sends the views of a log to a server, to compare them with import-log: each request for a post becomes a `POST
 * /posts/:slug/views` with the address, user agent, referer and time of its line. At the end all views are flushed.
 * @returns the number of requests by the status of the reply.
 */
export async function replayLog(
  t: { teardown(end: () => Promise<unknown>): unknown },
  lines: readonly string[],
  { databaseUrl, timeZone, nowMs, post }: ReplayOptions,
): Promise<Record<number, number>> {
  const rightNow = Date.now
  t.teardown(async () => {
    Date.now = rightNow
  })
  let timeMs = nowMs
  Date.now = () => timeMs
  const app = Fastify({ trustProxy: 'loopback' })
  await app.register(popularPosts, {
    databaseUrl,
    timeZone,
    viewsPerMinute: 0,
    readersPerAddress: 0,
    viewFlushSeconds: 0,
  })
  t.teardown(() => app.close())
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const answered: Record<number, number> = {}
  for (const line of lines) {
    const logged = parseLine(line) ?? undefined
    if (logged === undefined || logged.method !== 'GET' || ![200, 304].includes(logged.status)) continue
    const slug = requestedPost(logged.target, post)?.slug
    if (slug === undefined) continue
    const [, referer = '-'] = /"([^"]*)" "[^"]*"$/.exec(line) ?? []
    timeMs = logged.timeMs
    const sent = request(`${address}/posts/${encodeURIComponent(slug)}/views`, {
      method: 'POST',
      agent,
      headers: {
        'x-forwarded-for': logged.address,
        ...(logged.userAgent === undefined ? {} : { 'user-agent': asBytes(logged.userAgent) }),
        ...(referer === '-' ? {} : { referer: asBytes(referer) }),
      },
    }).end()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    await once(response.resume(), 'end')
    const status = response.statusCode ?? 0
    answered[status] = (answered[status] ?? 0) + 1
  }
  timeMs = nowMs
  await app.postViews.flush()
  Date.now = rightNow
  agent.destroy()
  return answered
}

/** Node.js sends each character of a header as one byte. */
function asBytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}
