/**
 * Measures what a stranger can do to the counts of a post within 15 minutes, with the default settings: how many of the views
 * that he sends are counted. `npm run bench:spam`; `-- --views 2000` (views of each attack).
 */
import { parseArgs } from 'node:util'
import Fastify from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { migrateToLatest } from '../db/migrate.ts'
import popularPosts, { type PopularPostsOptions } from '../index.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'

const { values } = parseArgs({ options: { views: { type: 'string', default: '2000' } } })
const views = Number(values.views)
if (!Number.isInteger(views) || views < 1) throw new TypeError('Expected --views, a whole number above 0.')

interface Attack {
  name: string
  options?: PopularPostsOptions
  /** The address of each view. */
  ip(index: number): string
  userAgent?: string
  headers?: Record<string, string>
}

const BLOG = 'https://blog.example'
const attacks: Attack[] = [
  { name: 'one address, one user agent', ip: () => '198.51.100.9', userAgent: 'Mozilla/5.0 Firefox/140.0' },
  { name: 'one address, each view with a new user agent', ip: () => '198.51.100.9' },
  { name: 'the same, each view from another port', ip: (index) => `198.51.100.9:${1024 + index}` },
  { name: 'the 254 addresses of a /24', ip: (index) => `198.51.100.${1 + (index % 254)}` },
  { name: 'one IPv6 /64', ip: (index) => `2001:db8:1:1::${index.toString(16)}` },
  { name: 'one IPv6 /48, each view from another /64', ip: (index) => `2001:db8:1:${index.toString(16)}::1` },
  { name: '10 networks (/24)', ip: (index) => `198.51.${index % 10}.${1 + (index % 254)}` },
  { name: 'each view from another network (/24): a botnet', ip: (index) => `20.${index >> 8}.${index & 255}.1` },
  {
    name: 'the same, with viewOrigins, from the pages of another site',
    options: { viewOrigins: [BLOG] },
    ip: (index) => `20.${index >> 8}.${index & 255}.1`,
    headers: { origin: 'https://evil.example' },
  },
  {
    name: 'the same, with viewOrigins, by a program that makes up the header',
    options: { viewOrigins: [BLOG] },
    ip: (index) => `20.${index >> 8}.${index & 255}.1`,
    headers: { origin: BLOG },
  },
]

const postgres = await startPostgres()
const db = new Kysely({ dialect: new PostgresDialect({ pool: new Pool({ connectionString: postgres.url, max: 2 }) }) })
try {
  await migrateToLatest(db)
  await db
    .withTables<{ posts: { slug: string; title: string; url: string; published_at: Date } }>()
    .insertInto('posts')
    .values({ slug: 'a', title: 'A', url: '/a', published_at: new Date(0) })
    .execute()
  const rows: string[][] = []
  for (const attack of attacks) {
    const app = Fastify({ trustProxy: () => true })
    await app.register(popularPosts, { databaseUrl: postgres.url, viewFlushSeconds: 0, ...attack.options })
    const statuses = new Map<number, number>()
    for (let index = 0; index < views; index += 1) {
      const userAgent =
        attack.userAgent ?? `Mozilla/5.0 (X11; Linux x86_64; rv:${index}.0) Gecko/20100101 Firefox/${index}.0`
      const headers = { 'user-agent': userAgent, 'x-forwarded-for': attack.ip(index), ...attack.headers }
      const { statusCode } = await app.inject({ method: 'POST', url: '/posts/a/views', headers })
      statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
    }
    // Closing waits for the views that are being recorded.
    await app.close()
    const { counted } = app.postViews.stats()
    const refused = [...statuses].filter(([status]) => status !== 204).map(([status, count]) => `${count} × ${status}`)
    rows.push([attack.name, String(counted), refused.join(', ')])
  }
  const table = [['attack', 'counted', 'refused'], ['---', '---', '---'], ...rows]
  process.stdout.write(`${views} views of one post in each attack:\n\n`)
  process.stdout.write(`${table.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n`)
} finally {
  await db.destroy()
  await postgres.remove()
}
