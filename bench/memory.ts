/**
 * Is memory flat? A million requests (`--requests`) over all windows, orders and filters, known and unknown; the heap after
 * each tenth of them, garbage collected. `npm run bench:memory`; with `REDIS_URL` over Redis.
 */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import popularPosts from '../index.ts'

const { values } = parseArgs({ options: { requests: { type: 'string', default: '1000000' } } })
const total = Number(values.requests)
const { gc } = globalThis
if (gc === undefined || !Number.isInteger(total))
  throw new Error('run it as npm run bench:memory -- --requests 1000000')

const slugs = (kind: string) => Array.from({ length: 20 }, (_none, index) => `${kind}-${index}`)
const posts = Array.from({ length: 50 }, (_none, index) => ({
  slug: `post-${index}`,
  title: 'A title of some length',
  excerpt: 'x'.repeat(200),
}))
const app = Fastify()
await app.register(popularPosts, {
  load: async () => posts,
  loadFilters: async () => ({ categories: slugs('category'), tags: slugs('tag'), authors: slugs('author') }),
  ...(process.env['REDIS_URL'] === undefined ? {} : { redisUrl: process.env['REDIS_URL'], prefix: 'bench:memory' }),
})
await app.ready()

/** The same sequence in every run. */
let state = 1
function below(limit: number): number {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return state % limit
}
const some = (kind: string) => (below(2) === 0 ? `&${kind}=${kind}-${below(30)}` : '')

const heaps: number[] = []
for (let tenth = 1; tenth <= 10; tenth += 1) {
  for (let sent = 0; sent < total / 10; sent += 100) {
    await Promise.all(
      Array.from({ length: 100 }, () =>
        app.inject(
          `/posts/popular?limit=${below(60) + 1}&days=${below(366)}&sort=${below(2) === 0 ? 'views' : 'trending'}&x=${below(1e9)}` +
            `&exclude=post-${below(50)}${some('category')}${some('tag')}${some('author')}`,
        ),
      ),
    )
    // As between requests over a network: what Node.js keeps until its next turn would pile up without one.
    await nextTurn()
  }
  gc()
  heaps.push(process.memoryUsage().heapUsed / 2 ** 20)
  const { entries, bytes } = app.popularPosts.stats()
  process.stdout.write(
    `${(total / 10) * tenth} requests: heap ${heaps.at(-1)?.toFixed(1)} MiB, ${entries} entries, ${(bytes / 2 ** 20).toFixed(1)} MiB of lists\n`,
  )
}
await app.close()
const [second = 0, last = 0] = [heaps[1], heaps.at(-1)]
process.stdout.write(
  `after a fifth: ${second.toFixed(1)} MiB, at the end: ${last.toFixed(1)} MiB, ratio ${(last / second).toFixed(2)}\n`,
)
