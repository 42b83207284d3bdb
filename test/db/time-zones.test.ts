import { type Kysely, sql } from 'kysely'
import t, { type Test } from 'tap'
import { bucketStart, countBatch } from '../../db/count-views.ts'
import type { Database } from '../../db/schema.ts'
import { claimTimeZone, setTimeZone } from '../../db/time-zone.ts'
import { StartupError } from '../../lib/errors.ts'
import { formats } from '../../settings/formats.ts'
import { createTestDatabase } from '../helpers/postgres.ts'

const TWO_WEEKS_MS = 14 * 86_400_000
const isAccepted = formats['time-zone']

t.test('each accepted name is the same time zone in PostgreSQL and in JavaScript', async (t) => {
  const { pool } = await createTestDatabase(t, { migrate: false })
  const { rows } = await pool.query<{ name: string }>(
    'select name from pg_timezone_names union select abbrev from pg_timezone_abbrevs',
  )
  const known = [...Intl.supportedValuesOf('timeZone'), ...rows.map(({ name }) => name)]
  const odd = ['EST5EDT', 'CST6CDT4,M3.2.0,M11.1.0', '+05:30', '-3', '<+03>-3', 'Factory', 'localtime', 'posixrules']
  const places = ['US/Pacific-New', 'SystemV/AST4', 'Etc/Unknown', 'Asia/Beijing', 'Mars/Olympus', '../../etc/passwd']
  const names = new Set([
    ...known,
    ...known.map((name) => name.toLowerCase()),
    ...known.map((name) => name.toUpperCase()),
  ])
  for (const name of [...odd, ...places]) names.add(name)

  // Every two weeks from 1980 on. Before, PostgreSQL and JavaScript know Tijuana from different editions.
  const moments: number[] = []
  for (let ms = Date.UTC(1980, 0, 1); ms < Date.UTC(2031, 0, 1); ms += TWO_WEEKS_MS) moments.push(ms)
  let same = 0
  const refusedByPostgres: string[] = []
  for (const name of [...names].filter(isAccepted)) {
    const local = await pool
      .query<{ local: string }>(
        `select to_char(to_timestamp(ms / 1000.0) at time zone $1, 'YYYY-MM-DD HH24:MI:SS') as local
        from unnest($2::float8[]) with ordinality as moment (ms, place) order by place`,
        [name, moments],
      )
      .catch(() => undefined)
    if (local === undefined) {
      refusedByPostgres.push(name)
      continue
    }
    const format = new Intl.DateTimeFormat('sv', { timeZone: name, dateStyle: 'short', timeStyle: 'medium' })
    const differs = moments.findIndex((ms, index) => format.format(ms) !== local.rows[index]?.local)
    if (differs !== -1) t.fail(`${name} at ${new Date(moments[differs] ?? 0).toISOString()}`)
    same += 1
  }
  t.comment(`${same} names are the same; PostgreSQL does not know ${refusedByPostgres.join(', ')}`)
  t.ok(same > 1_000)
  for (const name of Intl.supportedValuesOf('timeZone')) t.ok(isAccepted(name), `${name}: a name that JavaScript lists`)
  for (const name of ['UTC', 'utc', 'Etc/UTC', 'Asia/Calcutta', 'europe/berlin', 'EUROPE/BERLIN', 'Etc/GMT+12'])
    t.ok(isAccepted(name), name)
  for (const name of ['CET', 'MET', 'EET', 'WET', 'IST', 'PST', 'EST', 'cet', 'Cuba', '', 'Europe/', ...odd])
    t.notOk(isAccepted(name), name)
})

async function daysOf(db: Kysely<Database>): Promise<string[]> {
  const { rows } = await sql<{ day: string }>`select day::text from post_views_daily order by day`.execute(db)
  return rows.map(({ day }) => day)
}

/** A blog with a post, and a function that counts a view of it by a process with some time zone. */
async function setUp(t: Test) {
  const { db, pool } = await createTestDatabase(t)
  await pool.query(`insert into posts (slug, title, url, published_at) values ('a', 'A', '/a', '2020-01-01')`)
  const { id } = await db.selectFrom('posts').select('id').executeTakeFirstOrThrow()
  let batches = 0
  return {
    db,
    async count(at: string, timeZone: string) {
      batches += 1
      const buckets = [{ postId: String(id), bucketStartMs: bucketStart(Date.parse(at)), views: 1 }]
      await countBatch(db, { id: `${batches}`, timeZone, nowMs: Date.now(), buckets })
    },
  }
}

t.test('the first process decides the time zone of the site, and all processes count in it', async (t) => {
  const { db, count } = await setUp(t)
  t.same(await claimTimeZone(db, 'Asia/Tokyo'), { timeZone: 'Asia/Tokyo', isWanted: true })
  t.same(await claimTimeZone(db, 'Asia/Tokyo'), { timeZone: 'Asia/Tokyo', isWanted: true })
  t.same(await claimTimeZone(db, 'UTC'), { timeZone: 'Asia/Tokyo', isWanted: false })
  // In Tokyo it is the next day, in Los Angeles the day before.
  await count('2026-03-01T16:00:00Z', 'UTC')
  await count('2026-03-01T16:00:00Z', 'Asia/Tokyo')
  await count('2026-03-01T16:00:00Z', 'America/Los_Angeles')
  t.same(await daysOf(db), ['2026-03-02'])
  await setTimeZone(db, 'America/Los_Angeles')
  t.same(await claimTimeZone(db, 'America/Los_Angeles'), { timeZone: 'America/Los_Angeles', isWanted: true })
  await count('2026-03-01T06:00:00Z', 'Asia/Tokyo')
  t.same(await daysOf(db), ['2026-02-28', '2026-03-02'], 'a process that was started before counts in the new zone')
})

t.test('processes that start at once agree', async (t) => {
  const { db } = await setUp(t)
  const zones = ['Asia/Tokyo', 'UTC', 'America/Los_Angeles', 'Europe/Berlin', 'Asia/Kolkata']
  const claimed = await Promise.all(zones.map((zone) => claimTimeZone(db, zone)))
  t.equal(new Set(claimed.map(({ timeZone }) => timeZone)).size, 1)
  t.equal(claimed.filter(({ isWanted }) => isWanted).length, 1)
})

t.test('another name of the same time zone is the same', async (t) => {
  for (const [zone, others, strangers] of [
    ['Asia/Kolkata', ['Asia/Calcutta', 'ASIA/KOLKATA', 'asia/calcutta'], ['Asia/Karachi', 'Asia/Kathmandu']],
    ['UTC', ['Etc/UTC', 'utc', 'Etc/GMT', 'Etc/Zulu'], ['Europe/London', 'Africa/Casablanca', 'Etc/GMT+1']],
    ['Europe/Berlin', ['europe/berlin'], ['Africa/Lagos', 'Europe/Athens']],
  ] as const) {
    const { db } = await setUp(t)
    await claimTimeZone(db, zone)
    for (const name of others) t.same(await claimTimeZone(db, name), { timeZone: zone, isWanted: true }, name)
    for (const name of strangers) t.same(await claimTimeZone(db, name), { timeZone: zone, isWanted: false }, name)
  }
})

t.test('a time zone that PostgreSQL does not know is refused by name', async (t) => {
  const { db } = await setUp(t)
  const refused = {
    constructor: StartupError,
    message:
      'PostgreSQL does not know the time zone US/Pacific-New: use another name of it, or update the time zones of the server.',
  }
  t.match(await claimTimeZone(db, 'US/Pacific-New').catch((error: unknown) => error), refused)
  await claimTimeZone(db, 'UTC')
  t.match(await claimTimeZone(db, 'US/Pacific-New').catch((error: unknown) => error), refused)
  t.match(await setTimeZone(db, 'US/Pacific-New').catch((error: unknown) => error), refused)
  t.same(await claimTimeZone(db, 'UTC'), { timeZone: 'UTC', isWanted: true })
})
