/**
 * Measures memory in two ways. First: the bytes that a cached list allocates, against Fastify that sends the same bytes
 * from a constant Buffer. Second: whether memory stays flat over a million requests (`--requests`) with all windows,
 * orders and filters, known and unknown; the heap is read after each tenth of the requests, after a garbage
 * collection. `npm run bench:memory`; with `REDIS_URL` the second measurement uses that Redis.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import popularPosts from '../index.ts'
import { startRedis } from '../test/helpers/redis.ts'
import { sendBursts } from './burst.ts'
import { createReport } from './report.ts'
import { median } from './rounds.ts'
import { startServer } from './server-process.ts'

const { values } = parseArgs({
  options: { requests: { type: 'string', default: '1000000' }, write: { type: 'boolean', default: false } },
})
const total = Number(values.requests)
const { gc } = globalThis
if (gc === undefined || !(Number.isInteger(total) && total >= 1000))
  throw new TypeError(
    'Expected --requests of at least 1000 and --expose-gc: npm run bench:memory -- --requests 1000000',
  )

const report = createReport('bench:memory', values)
const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1)

/** Bytes of the heap for each request. The young generation is so large that no garbage collection runs. */
async function allocations(): Promise<void> {
  const [rounds, requests] = [7, 5000]
  const request = 'GET /posts/popular?limit=10&days=30 HTTP/1.1\r\nhost: blog\r\n\r\n'
  const redis = await startRedis()
  const rows = [['a cached list, medians of 7 rounds', 'of the heap for a request']]
  for (const [way, name] of Object.entries({
    constant: 'Fastify, constant',
    ours: 'ours',
    redis: 'ours, with Redis',
  })) {
    const file = new URL('hit-server.ts', import.meta.url)
    const server = await startServer(
      file,
      [way, 'silent', redis.url],
      ['--max-semi-space-size=1024', '--min-semi-space-size=1024'],
    )
    const { port, usage } = server
    const send = () => sendBursts({ port, connections: 10, pipelined: 10, requests, request })
    // Warms up, because compiled code counts as allocated, too.
    for (let round = 0; round < 4; round += 1) await send()
    const found: number[] = []
    for (let round = 0; round < rounds; round += 1) {
      const before = await usage()
      await send()
      found.push(((await usage()).heapBytes - before.heapBytes) / requests)
    }
    rows.push([name, `${(median(found) / 1000).toFixed(1)} kB`])
    await server.stop()
  }
  await redis.stop()
  report.table(rows)
}

const slugs = (kind: string) => Array.from({ length: 20 }, (_none, index) => `${kind}-${index}`)
const posts = Array.from({ length: 50 }, (_none, index) => ({
  slug: `post-${index}`,
  title: 'A title of some length',
  excerpt: 'x'.repeat(200),
}))

/** The random numbers are the same in every run. */
let state = 1
function below(limit: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return state % limit
}
const randomFilter = (kind: string) => (below(2) === 0 ? `&${kind}=${kind}-${below(30)}` : '')

async function flatness(collect: () => void): Promise<void> {
  const app = Fastify()
  await app.register(popularPosts, {
    combineFilters: true,
    load: async () => posts,
    loadFilters: async () => ({ categories: slugs('category'), tags: slugs('tag'), authors: slugs('author') }),
    ...(process.env['REDIS_URL'] === undefined
      ? {}
      : { redisUrl: process.env['REDIS_URL'], redisPrefix: 'bench:memory' }),
  })
  await app.ready()
  const rows = [['all kinds of requests', 'heap', 'resident', 'lists']]
  const heaps: number[] = []
  for (let tenth = 1; tenth <= 10; tenth += 1) {
    for (let sent = 0; sent < total / 10; sent += 100) {
      await Promise.all(
        Array.from({ length: 100 }, () =>
          app.inject(
            `/posts/popular?limit=${below(60) + 1}&offset=${below(51)}&days=${below(366)}&sort=${below(2) === 0 ? 'views' : 'trending'}&x=${below(1e9)}` +
              `&exclude=post-${below(50)}${randomFilter('category')}${randomFilter('tag')}${randomFilter('author')}`,
          ),
        ),
      )
      // Node.js frees some memory only in its next turn of the event loop, as between requests over a network.
      await nextTurn()
    }
    collect()
    const { heapUsed, rss } = process.memoryUsage()
    heaps.push(heapUsed)
    const { entries, bytes } = app.popularPosts.stats()
    const sent = (total / 10) * tenth
    report.progress(`${sent} of ${total} requests`)
    rows.push([String(sent), `${mib(heapUsed)} MiB`, `${mib(rss)} MiB`, `${entries}, ${mib(bytes)} MiB`])
  }
  await app.close()
  const [second = 0, last = 0] = [heaps[1], heaps.at(-1)]
  report.table(rows)
  report.say(`Ratio of the heap at the end to the heap after a fifth of the requests: ${(last / second).toFixed(2)}.`)
}

await allocations()
await flatness(gc)
report.end()
