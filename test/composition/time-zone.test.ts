import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { createSiteTimeZone } from '../../composition/time-zone.ts'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { expectStartError } from '../helpers/service.ts'

const request = { method: 'GET', ip: '203.0.113.9', headers: { 'user-agent': 'Mozilla/5.0 (X11) Firefox/140.0' } }

async function createApp(t: Test, options: PopularPostsOptions) {
  const warnings: { msg: string; siteTimeZone?: string; timeZone?: string }[] = []
  const stream = { write: (line: string) => void warnings.push(JSON.parse(line)) }
  const app = Fastify({ logger: { level: 'warn', stream } })
  t.teardown(() => app.close())
  await app.register(popularPosts, { viewFlushSeconds: 0, ...options })
  return { app, warnings }
}

async function setUp(t: Test) {
  const { pool, url } = await createTestDatabase(t)
  await pool.query(`insert into posts (slug, title, url, published_at) values ('a', 'A', '/a', '2020-01-01')`)
  const zone = async () => (await pool.query(`select value from popular_posts_site where name = 'time_zone'`)).rows
  return { pool, url, zone }
}

t.test('an app with another time zone than the site has says so once, and uses that of the site', async (t) => {
  const { pool, url: databaseUrl, zone } = await setUp(t)
  const first = await createApp(t, { databaseUrl, timeZone: 'Pacific/Kiritimati' })
  t.same(await zone(), [], 'until something is counted or listed, nothing is decided')
  t.equal((await first.app.popularPosts.get({ days: 7 })).length, 1)
  t.same(await zone(), [{ value: 'Pacific/Kiritimati' }])
  const other = await createApp(t, { databaseUrl, timeZone: 'Pacific/Niue' })
  for (const { app } of [first, other]) {
    t.equal(
      await app.postViews.record({ slug: 'a', request: { ...request, ip: app === first.app ? '::1' : '::2' } }),
      'counted',
    )
    await app.postViews.flush()
    await app.postViews.prune()
    await app.popularPosts.invalidate()
    const views = app === first.app ? 1 : 2
    for (const days of [0, 1, 2, 7]) t.match(await app.popularPosts.get({ days }), [{ views }], `${days} days`)
    t.match(await app.popularPosts.readCategories(), {})
  }
  const { rows } = await pool.query(`
    select views::int, day = (now() at time zone 'Pacific/Kiritimati')::date as "isToday" from post_views_daily`)
  t.same(rows, [{ views: 2, isToday: true }], 'one calendar, 25 hours ahead of the other')
  t.same(first.warnings, [])
  t.equal(other.warnings.length, 1)
  t.match(other.warnings[0], {
    siteTimeZone: 'Pacific/Kiritimati',
    timeZone: 'Pacific/Niue',
    msg: /^popular posts: the days of this site are counted in another time zone than the option timeZone \(SITE_TIME_ZONE\)/,
  })
})

t.test(
  'without the table, lists use the option; with a database that is away, the next load reads the zone',
  async (t) => {
    const { pool, url: databaseUrl } = await setUp(t)
    await pool.query('alter table popular_posts_site rename to away')
    const { app } = await createApp(t, { databaseUrl, timeZone: 'Asia/Tokyo' })
    t.equal((await app.popularPosts.get({ days: 7 })).length, 1)
    await t.rejects(
      app.postViews.record({ slug: 'a', request }).then(() => app.postViews.flush()),
      { code: '42P01' },
    )
    await pool.query('alter table away rename to popular_posts_site')

    const unknown = await createApp(t, { databaseUrl, timeZone: 'US/Pacific-New' })
    await t.rejects(unknown.app.popularPosts.get({ days: 7 }), { code: 'PP_LOAD_FAILED' })
    t.match(JSON.stringify(unknown.warnings), /PostgreSQL does not know the time zone US\/Pacific-New/)
    // The first app keeps the view and may flush it at any time, which decides the zone.
    await pool.query(`
      insert into popular_posts_site values ('time_zone', 'US/Pacific')
      on conflict (name) do update set value = excluded.value`)
    await t.rejects(unknown.app.postViews.prune(), { message: /does not know the time zone/ })
  },
)

t.test('commands and the service refuse another time zone by name, and a command changes it', async (t) => {
  const { url, zone } = await setUp(t)
  const run = async (args: string[], timeZone: string, input = '') => {
    const env = { DATABASE_URL: url, SITE_TIME_ZONE: timeZone, REDIS_URL: 'redis://127.0.0.1:9' }
    const program = runProgram(t, 'bin/popular-posts.ts', { args, env, input })
    return { code: await program.ended(), stdout: program.stdout(), stderr: program.stderr() }
  }
  const line = '203.0.113.1 - - [17/May/2015:23:05:03 +0000] "GET /a HTTP/1.1" 200 9 "-" "Mozilla/5.0 Firefox/140.0"\n'
  t.match(await run(['import-log'], 'Europe/Berlin', line), { code: 0 })
  t.same(await zone(), [{ value: 'Europe/Berlin' }])
  for (const args of [['import-log'], ['demo'], ['flush']]) {
    const { code, stderr } = await run(args, 'UTC', line)
    t.equal(code, 1, args.join())
    t.match(
      stderr,
      /^The days of this site are counted in the time zone Europe\/Berlin, but SITE_TIME_ZONE is UTC: set /,
    )
  }
  await expectStartError(
    t,
    runProgram(t, 'server.ts', { env: { DATABASE_URL: url, PORT: '0' } }),
    /counted in the time zone Europe\/Berlin, but SITE_TIME_ZONE is UTC/,
  )
  t.match(await run(['time-zone'], 'America/Lima'), {
    code: 0,
    stdout: 'The time zone of the site is America/Lima. Restart its services with this SITE_TIME_ZONE.\n',
  })
  t.same(await zone(), [{ value: 'America/Lima' }])
  t.match(await run(['time-zone'], 'US/Pacific-New'), {
    code: 1,
    stderr: /^PostgreSQL does not know the time zone US\/Pacific-New/,
  })
  t.match(await run(['migrate'], 'UTC'), { code: 0 }, 'a migration counts nothing')
})

t.test('where the zone of the site cannot be read, the option is used', async (t) => {
  const { db, pool } = await createTestDatabase(t, { migrate: false })
  const read = createSiteTimeZone({
    db,
    timeZone: 'Asia/Kolkata',
    log: { warn: () => t.fail('no other zone is known') },
  })
  t.equal(await read(), 'Asia/Kolkata', 'there is no table, and the next call looks again')
  await pool.query('create table popular_posts_site (other text)')
  t.equal(await read(), 'Asia/Kolkata', 'the table is another one')
  await pool.query('drop table popular_posts_site')
  t.equal(await read(), 'Asia/Kolkata', 'that is known')
})
