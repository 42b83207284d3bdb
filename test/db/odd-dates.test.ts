import Fastify from 'fastify'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool, types } from 'pg'
import { pino } from 'pino'
import t from 'tap'
import { invalidateOnChange } from '../../changes/invalidate-on-change.ts'
import { openDatabase } from '../../db/open-database.ts'
import { createProblemLog } from '../../db/problem-log.ts'
import type { Database } from '../../db/schema.ts'
import popularPosts, { type PopularPost } from '../../index.ts'
import { backgroundClock } from '../../lib/clock.ts'
import { servicesOf } from '../../plugins/popular-posts.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'
import { createSite } from '../helpers/site.ts'
import { createVirtualClock } from '../helpers/virtual-clock.ts'

/** Dates that PostgreSQL accepts, and their value in a list; `undefined`: the list does not have the post. */
const DATES: Record<string, [string, string | undefined]> = {
  never: ['-infinity', undefined],
  'not-yet': ['infinity', undefined],
  last: ['294276-12-31 23:59:59.999999+00', undefined],
  'beyond-javascript': ['275761-01-01 00:00:00+00', undefined],
  first: ['4713-11-24 00:00:00+00 BC', '-004712-11-24T00:00:00.000Z'],
  'ides-of-march': ['0044-03-15 12:00:00+00 BC', '-000043-03-15T12:00:00.000Z'],
  'year-0': ['0001-12-31 23:59:59.999999+00 BC', '0000-12-31T23:59:59.999Z'],
  'year-99': ['0099-02-03 04:05:06+00', '0099-02-03T04:05:06.000Z'],
  // Before standard time zones, Amsterdam was 19 minutes and 32 seconds ahead of UTC.
  'old-time': ['1890-05-06 07:08:09.1234+00', '1890-05-06T07:08:09.123Z'],
  'before-the-epoch': ['1969-12-31 23:59:59.000001+00', '1969-12-31T23:59:59.000Z'],
  'to-the-millisecond': ['2026-01-02 03:04:05.678+00', '2026-01-02T03:04:05.678Z'],
}
const shown = Object.entries(DATES).flatMap(([slug, [, date]]) => (date === undefined ? [] : [[slug, date] as const]))

t.test('a post of any date keeps every list valid', async (t) => {
  const { pool, db, url } = await createTestDatabase(t)
  await fillBlog(db, 2)
  await pool.query(
    `insert into posts (slug, title, url, published_at)
    select slug, slug, '/posts/' || slug, at from unnest($1::text[], $2::timestamptz[]) as post (slug, at)`,
    [Object.keys(DATES), Object.values(DATES).map(([at]) => at)],
  )
  await pool.query(`insert into post_categories select id, 1 from posts where slug <> 'post-1'`)
  const expected = [...shown, ['post-1'], ['post-2']].map(([slug]) => slug).sort()

  await t.test('in the service', async (t) => {
    const site = await createSite(t, { db, url })
    const list = (await site.inject('/posts/popular?limit=50&days=0')).json<PopularPost[]>()
    t.same(list.map(({ slug }) => slug).sort(), expected)
    for (const [slug, date] of shown) {
      const post = list.find((one) => one.slug === slug)
      t.equal(post?.publishedAt, date, slug)
      t.equal(new Date(String(post?.publishedAt)).toISOString(), date)
    }
    t.match((await site.inject('/categories')).json(), [{ slug: 'odd', postCount: expected.length }])
    t.equal(
      (await site.inject('/posts/popular?category=odd&sort=trending&limit=50')).json<PopularPost[]>().length,
      expected.length,
    )
    t.equal((await site.inject('/')).statusCode, 200)
    const headers = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
    for (const [slug, [, date]] of Object.entries(DATES)) {
      t.equal((await site.inject(`/posts/${slug}`)).statusCode, date === undefined ? 404 : 200, slug)
      const view = await site.inject({ method: 'POST', url: `/posts/${slug}/views`, headers })
      t.equal(view.statusCode, date === undefined ? 404 : 204, slug)
    }
  })

  await t.test('in a host whose driver returns dates as text, with another session time zone', async (t) => {
    const own = new Pool({
      connectionString: `${url}?options=-ctimezone%3DEurope/Amsterdam`,
      types: {
        getTypeParser: (oid, format) =>
          oid === types.builtins.TIMESTAMPTZ ? String : types.getTypeParser(oid, format),
      },
    })
    own.on('error', () => undefined)
    const host = new Kysely<Database>({ dialect: new PostgresDialect({ pool: own }) })
    t.teardown(() => host.destroy())
    const app = Fastify()
    t.teardown(() => app.close())
    await app.register(popularPosts, { db: host })
    const list = await app.popularPosts.get({ limit: 50, days: 0 })
    for (const [slug, date] of shown) t.equal(list.find((one) => one.slug === slug)?.publishedAt, date, slug)
  })
})

t.test('a post without a valid time is logged once in a process', async (t) => {
  const { pool, db } = await createTestDatabase(t)
  await pool.query(
    `insert into posts (slug, title, url, published_at) values ('a', '', '', '-infinity'), ('b', '', '', now())`,
  )
  await pool.query(
    `insert into posts (slug, title, url, published_at, is_private) values ('c', '', '', '-infinity', true)`,
  )
  const lines: { level: number; msg: string; subject?: string }[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => lines.push(JSON.parse(line)) } } })
  t.teardown(() => app.close())
  await app.register(popularPosts, { db })
  await app.ready()
  await until(() => lines.length > 0, 'it is logged')
  await servicesOf(app).database?.problems.check()
  await pool.query(`insert into posts (slug, title, url, published_at) values ('d', '', '', '-infinity')`)
  await servicesOf(app).database?.problems.check()
  const said = 'popular posts: a post is in no list, because its published_at is -infinity: give it a date'
  t.strictSame(
    lines.map(({ level, msg, subject }) => ({ level, msg, subject })),
    [
      { level: 40, msg: said, subject: '1' },
      { level: 40, msg: said, subject: '4' },
    ],
  )
})

t.test('after hard changes the check runs again, at most every ten seconds', async (t) => {
  const { pool, db, url } = await createTestDatabase(t)
  const clock = createVirtualClock()
  const lines: { subject?: string }[] = []
  const log = pino({ level: 'warn' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const insert = (slug: string) =>
    pool.query(`insert into posts (slug, title, url, published_at) values ('${slug}', '', '', '-infinity')`)
  await insert('before')
  const problems = createProblemLog({ db, log, clock })
  t.teardown(problems.close)
  let hard = 0
  const changes = invalidateOnChange({
    db,
    databaseUrl: url,
    clock: backgroundClock,
    log,
    invalidate: async () => ({ state: 'ended', pauseMs: 0, ends: 0 }),
    onHeard() {},
    onHardChange() {
      hard += 1
      problems.checkSoon()
    },
  })
  t.teardown(changes.close)
  await changes.ready()
  problems.checkSoon()
  await clock.advance(0)
  await until(() => lines.length === 1, 'the first look is over')
  await insert('a')
  await until(() => hard === 1, 'the change is heard')
  await insert('b')
  await until(() => hard === 2, 'the next one, too')
  await clock.advance(9_999)
  t.equal(lines.length, 1)
  await clock.advance(1)
  await until(() => lines.length === 3, 'both are logged')
  t.match(lines, [{ subject: '1' }, { subject: '2' }, { subject: '3' }])
})

t.test('a database that cannot be checked is logged once, and the app starts', async (t) => {
  const { pool, url } = await createTestDatabase(t)
  const role = `nobody_${process.pid}`
  await pool.query(`create role ${role}`)
  t.teardown(() => pool.query(`drop role ${role}`))
  const db = openDatabase(`${url}?options=-crole%3D${role}`, () => {})
  t.teardown(() => db.destroy())
  const lines: { msg: string; code?: string }[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line: string) => lines.push(JSON.parse(line)) } } })
  t.teardown(() => app.close())
  await app.register(popularPosts, { db })
  await app.ready()
  await until(() => lines.some(({ msg }) => msg.includes('cannot be checked')), 'it is logged')
  await servicesOf(app).database?.problems.check()
  const checks = lines.filter(({ msg }) => msg.includes('cannot be checked'))
  t.match(checks, [
    {
      err: { code: '42501', message: 'permission denied for table popular_posts_watch_failure' },
      msg: 'popular posts: the database cannot be checked for posts and tables that need attention',
    },
  ])
  t.equal(checks.length, 1)
})
