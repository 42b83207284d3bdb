/**
 * Readers behind a real nginx, with two processes and one Redis: the totals in the database equal those of an independent count
 * of the requests. All 100,000 requests: `REAL_READERS=100000 npm test -- test/fleet/real-readers.test.ts --disable-coverage`
 */
import { Agent, request } from 'node:http'
import t from 'tap'
import { startNginx } from '../helpers/nginx.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { createRandom } from '../helpers/random.ts'
import { startRedis } from '../helpers/redis.ts'
import { until } from '../helpers/services/until.ts'
import { startViewCounter } from '../helpers/view-fleet.ts'

const REQUESTS = Number(process.env['REAL_READERS'] ?? 20_000)
const CLIENTS = 8
const POSTS = 20
/** A reader sends twenty requests, so some for the same post. */
const READERS = Math.ceil(REQUESTS / 20)

const random = createRandom(Number(process.env['SEED'] ?? 1))
const below = (limit: number) => Math.floor(random() * limit)
const hex = (limit: number) => below(limit).toString(16)
const pick = <T>(choices: readonly [T, ...T[]]): T => choices[below(choices.length)] ?? choices[0]

/** Headers of a page that is loaded ahead. */
const AHEAD: readonly [Record<string, string>, ...Record<string, string>[]] = [
  { 'sec-purpose': 'prefetch' },
  { 'sec-purpose': 'prefetch;prerender' },
  { 'sec-purpose': 'prefetch;anonymous-client-ip' },
  { purpose: 'prefetch' },
  { 'x-moz': 'prefetch' },
]
const BOTS = [
  'Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)',
  'curl/8.5.0',
  'facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)',
] as const

/** An address of an IPv4 network of its own, in one of its forms. */
function ipv4(place: number): string {
  const bytes = [11 + (place >> 16), (place >> 8) & 255, place & 255, 7] as const
  const plain = bytes.join('.')
  const [high, low] = [bytes[0] * 256 + bytes[1], bytes[2] * 256 + bytes[3]].map((part) => part.toString(16))
  const mapped = [`::ffff:${plain}`, `::FFFF:${plain}`, `::ffff:${high}:${low}`, `0:0:0:0:0:ffff:${plain}`] as const
  const port = 1024 + below(60_000)
  if (below(2) === 0) return pick([`${plain}:${port}`, `[::ffff:${plain}]:${port}`])
  return pick([plain, plain, ...mapped])
}

/** An address of an IPv6 network of its own, in one of its forms. Within its network (/64) a reader has many addresses. */
function ipv6(place: number): string {
  const network = `2a02:${place.toString(16)}:0:1`
  const interfaceId = pick([`:${hex(65_536)}`, `${hex(65_536)}:${hex(65_536)}:${hex(65_536)}:${hex(65_536)}`])
  const address = `${network}:${interfaceId}`
  const port = 1024 + below(60_000)
  if (below(2) === 0) return pick([`[${address}]:${port}`, `[${address}]`])
  return pick([address, address.toUpperCase()])
}

/** A header of a request that came through other proxies, or that its client has forged. */
function forwarded(address: string): string {
  return pick([address, address, `198.18.0.${below(200)}, ${address}`, `unknown, ${address}`])
}

/** Each two readers share an address, and have different browsers. */
function headersOf(reader: number) {
  const place = reader >> 1
  return {
    'x-forwarded-for': forwarded(place % 2 === 0 ? ipv4(place) : ipv6(place)),
    'user-agent': `Mozilla/5.0 (X11; Linux x86_64; rv:1${40 + (reader % 2)}.0) Gecko/20100101 Firefox/1${40 + (reader % 2)}.0`,
  }
}

t.test(`${REQUESTS} requests through nginx: the totals equal an independent count`, async (t) => {
  const { db, pool, url: databaseUrl } = await createTestDatabase(t)
  const slugs = Array.from({ length: POSTS }, (_none, index) => `post-${index}`)
  const rows = slugs.map((slug) => ({ slug, title: slug, url: `/${slug}`, published_at: new Date(0) }))
  await db.insertInto('posts').values(rows).execute()
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const options = { databaseUrl, redisUrl: redis.url, viewsPerMinute: 0, viewFlushSeconds: 1, viewDedupSeconds: 86_400 }
  let isOver = false
  const ended = (sentence: string) => void (isOver || t.fail(sentence))
  const servers = await Promise.all(['one', 'two'].map((name) => startViewCounter(t, name, ended, options)))
  const address = await startNginx(
    t,
    servers.map((server) => server.address),
  )
  const startedAtMs = performance.now()
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS })
  t.teardown(async () => agent.destroy())

  const send = (path: string, headers: Record<string, string>) =>
    new Promise<number>((resolve, reject) => {
      request(`${address}${path}`, { method: 'POST', agent, headers }, (response) =>
        response.resume().once('end', () => resolve(response.statusCode ?? 0)),
      )
        .once('error', reject)
        .end()
    })

  /** The readers of each post, by what the requests say. */
  const readers = slugs.map(() => new Set<number>())
  const sent = { views: 0, ahead: 0, bots: 0 }
  const refused = new Map<number, number>()
  let accepted = 0

  async function view(post: number, headers: Record<string, string>): Promise<void> {
    let status = await send(`/posts/${slugs[post]}/views`, headers)
    // The database did not tell in time whether the post exists: the view is not recorded.
    for (; status === 503; status = await send(`/posts/${slugs[post]}/views`, headers));
    if (status === 204) accepted += 1
    else refused.set(status, (refused.get(status) ?? 0) + 1)
  }
  async function sendRandom(): Promise<void> {
    const [reader, post, dice] = [below(READERS), below(POSTS), below(100)]
    const headers = headersOf(reader)
    if (dice < 15) {
      sent.ahead += 1
      Object.assign(headers, pick(AHEAD))
    } else if (dice < 20) {
      sent.bots += 1
      headers['user-agent'] = pick(BOTS)
    } else {
      sent.views += 1
      readers[post]?.add(reader)
    }
    await view(post, headers)
  }
  async function inParallel(clients: number, count: number, task: (index: number) => Promise<void>): Promise<void> {
    let next = 0
    const client = async () => {
      for (let index = next++; index < count; index = next++) await task(index)
    }
    await Promise.all(Array.from({ length: clients }, client))
  }

  const outcomes = ['counted', 'repeat', 'prefetch', 'bot', 'dropped'] as const
  async function judged() {
    const sums = { counted: 0, repeat: 0, prefetch: 0, bot: 0, dropped: 0 }
    await until(async () => {
      const all = await Promise.all(servers.map((server) => server.stats()))
      for (const name of outcomes) sums[name] = all.reduce((sum, stats) => sum + stats[name], 0)
      return outcomes.reduce((sum, name) => sum + sums[name], 0) === accepted
    }, 'each request is judged')
    return sums
  }

  await inParallel(CLIENTS, REQUESTS, sendRandom)
  t.same([...refused], [], 'each request is accepted')
  for (const { name, stats } of servers) t.ok((await stats()).counted > REQUESTS / 10, `process ${name} counts a part`)
  const expected = Object.fromEntries(slugs.map((slug, post) => [slug, readers[post]?.size]))
  const pairs = readers.flatMap((all, post) => [...all].map((reader) => ({ post, reader })))
  const seen = await judged()
  t.same([seen.prefetch, seen.bot], [sent.ahead, sent.bots])
  if (seen.dropped === 0) t.same([seen.counted, seen.repeat], [pairs.length, sent.views - pairs.length])
  // On a busy machine Redis may reply too late, and a view is lost. Then each reader reads each of its posts again: what has been
  // counted is a repeat, so the totals stay exact.
  for (let [before, lost, pass] = [0, seen.dropped, 1]; lost > before && pass <= 5; pass += 1) {
    t.comment(`${lost} views were lost: ${pairs.length} views once more`)
    await inParallel(2, pairs.length, async (index) => {
      const { post = 0, reader = 0 } = pairs[index] ?? {}
      await view(post, headersOf(reader))
    })
    before = lost
    lost = (await judged()).dropped
  }
  await until(async () => {
    const { rows } = await pool.query<{ views: string }>('select sum(views) as views from post_views_total')
    return Number(rows[0]?.views) >= pairs.length
  }, 'all views are in the database')

  for (const table of ['post_views_total', 'post_views_daily', 'post_views_hourly']) {
    const { rows } = await pool.query<{ slug: string; views: string }>(
      `select slug, sum(views) as views from ${table} join posts on posts.id = post_id group by slug`,
    )
    t.same(Object.fromEntries(rows.map(({ slug, views }) => [slug, Number(views)])), expected, table)
  }
  isOver = true
  const seconds = Math.round((performance.now() - startedAtMs) / 1000)
  t.comment(
    `${REQUESTS} requests of ${READERS} readers in ${seconds} s: ${pairs.length} views, ` +
      `${sent.views - pairs.length} repeats, ${sent.ahead} ahead, ${sent.bots} of bots`,
  )
})
