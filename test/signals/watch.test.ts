import { Kysely, PostgresDialect } from 'kysely'
import t, { type Test } from 'tap'
import type { Tables } from '../../db/popular-posts.ts'
import { announceChange } from '../../db/signals.ts'
import type { ChangeNews } from '../../plugins/change-throttle.ts'
import { watchChanges } from '../../plugins/change-watch.ts'
import { openDatabase } from '../../plugins/database.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/postgres.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { withDatabase } from '../helpers/services/template-database.ts'
import { until } from '../helpers/services/until.ts'
import { createVirtualClock } from '../helpers/virtual-clock.ts'

/** Watches, with time standing still; what is told, and what is logged. */
function watch(t: Test, db: Kysely<Tables>, databaseUrl?: string) {
  const clock = createVirtualClock()
  const told: ChangeNews[] = []
  const logged: string[] = []
  const log = (_details: object, message: string) => logged.push(message)
  const watching = watchChanges({
    ...{ db, databaseUrl, clock, log: { info: log, warn: log } },
    onChange: (news) => told.push(news),
  })
  t.teardown(() => watching.close())
  return { clock, told, logged, ...watching }
}

const comparisons = ({ countStatements }: TestDatabase) => countStatements(/popular_posts_change/)
const listeners = async ({ pool }: TestDatabase) =>
  (
    await pool.query<{ pid: number }>(
      "select pid from pg_stat_activity where application_name = 'popular-posts listener' and datname = current_database() and query = 'listen popular_posts' and state = 'idle'",
    )
  ).rows.map(({ pid }) => pid)

t.test('without a place to listen, it asks every five seconds', async (t) => {
  const database = await createTestDatabase(t)
  const { clock, told, ready, close } = watch(t, database.db)
  await ready()
  await announceChange(database.db, 'soft')
  await clock.advance(4_999)
  t.strictSame(told, [])
  await clock.advance(1)
  await until(() => told.length === 1, 'the change is told')
  t.match(told, [{ change: 'soft', cause: /^soft \d+ [\d.]+$/, isNotice: false }])
  const before = await comparisons(database)
  await clock.advance(5_000)
  await until(async () => (await comparisons(database)) > before, 'it asks again')
  await close()
  const last = await comparisons(database)
  await clock.advance(60_000)
  t.equal(await comparisons(database), last, 'closed')
  t.equal(told.length, 1)
})

t.test('who closes at once asks nothing', async (t) => {
  const database = await createTestDatabase(t)
  const { ready, close } = watch(t, database.db)
  await Promise.all([ready(), close()])
  t.equal(await comparisons(database), 0)
})

t.test(
  'where the tables are missing, it says so and asks no more; whoever notifies is heard all the same',
  async (t) => {
    const database = await createTestDatabase(t, { migrate: false })
    const { pool, db, url } = database
    const quiet = watch(t, db)
    await quiet.ready()
    t.match(quiet.logged, [/does not tell of changes, run "npx popular-posts migrate"/])
    const asked = await comparisons(database)
    await quiet.clock.advance(600_000)
    t.equal(await comparisons(database), asked)

    const { told } = watch(t, db, url)
    await until(async () => (await listeners(database)).length === 1, 'it listens')
    await pool.query("notify popular_posts, 'soft'")
    await pool.query('notify popular_posts')
    await until(() => told.length === 2, 'both are heard')
    const unnamed = { cause: undefined, isNotice: true }
    t.match(told, [
      { change: 'soft', ...unnamed },
      { change: 'hard', ...unnamed },
    ])
    await pool.query('select pg_terminate_backend($1)', await listeners(database))
    await until(() => told.length === 3, 'what was missed is not known')
    t.match(told[2], { change: 'hard', cause: undefined, isNotice: false })
  },
)

t.test('a change is told once, by a notification; a scheduled one when it is due', async (t) => {
  const database = await createTestDatabase(t)
  const { pool, db, url } = database
  const { clock, told, ready } = watch(t, db, url)
  await ready()
  await until(async () => (await listeners(database)).length === 1, 'it listens')
  await announceChange(db, 'hard')
  await until(() => told.length === 1, 'it is heard')
  t.match(told, [{ change: 'hard', cause: /^hard \d+ [\d.]+$/, isNotice: true }])
  const before = await comparisons(database)
  await clock.advance(60_000)
  await until(async () => (await comparisons(database)) > before, 'it asks now and then')
  t.equal(told.length, 1, 'known already')

  const asked = await comparisons(database)
  await pool.query("select popular_posts_announce('soft', clock_timestamp() + interval '400 ms')")
  await until(async () => (await comparisons(database)) > asked, 'it asks when')
  t.equal(told.length, 1)
  await pool.query('select pg_sleep_until(max(changed_at)) from popular_posts_change')
  await until(async () => {
    // Its time goes as we say.
    await clock.advance(400)
    return told.length === 2
  }, 'the change is due')
  t.match(told[1], { change: 'soft', isNotice: false })
})

t.test('notifications that do not arrive are made up for, and then it asks more often', async (t) => {
  const [database, elsewhere] = [await createTestDatabase(t), await createTestDatabase(t)]
  // As behind a pooler: listening goes well, and nothing comes.
  const { clock, told, ready } = watch(t, database.db, elsewhere.url)
  await ready()
  await until(async () => (await listeners(elsewhere)).length === 1, 'it listens')
  const asks = async (ms: number) => {
    const before = await comparisons(database)
    await clock.advance(ms - 1)
    const early = await comparisons(database)
    await clock.advance(1)
    await until(async () => (await comparisons(database)) > early, `it asks after ${ms} ms`)
    return early === before
  }
  await announceChange(database.db, 'soft')
  t.equal(await asks(60_000), true)
  await until(() => told.length === 1, 'the change is found')
  t.equal(await asks(5_000), true)
  const before = await comparisons(database)
  await elsewhere.pool.query("notify popular_posts, 'later'")
  await until(async () => (await comparisons(database)) > before, 'it hears')
  t.equal(await asks(60_000), true, 'and asks less often')
})

t.test('a lost connection: what was missed is told, nothing when nothing was', async (t) => {
  const database = await createTestDatabase(t)
  const { pool, db, url } = database
  const { told, ready, logged } = watch(t, db, url)
  await ready()
  await until(async () => (await listeners(database)).length === 1, 'it listens')
  const cut = async (meanwhile: string) => {
    const [pid] = await listeners(database)
    // Nobody gets in before the change is made.
    await pool.query(`select pg_terminate_backend(${pid})`)
    await pool.query(meanwhile)
    await until(async () => {
      const [again = pid] = await listeners(database)
      return again !== pid
    }, 'it listens again')
  }
  const before = await comparisons(database)
  await cut('select 1')
  await until(async () => (await comparisons(database)) > before, 'it asks what was missed')
  await cut("select popular_posts_announce('hard')")
  await until(() => told.length > 0, 'it is told')
  t.match(told, [{ change: 'hard', cause: /^hard / }])
  t.equal(told.length, 1, 'of the one change, and not of the lost connections')
  t.match(logged, [/not listening for changes, trying again/, /not listening for changes, trying again/])
})

t.test('where the server refuses to listen, that is logged once, and changes are found by comparing', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const { clock, told, ready, logged } = watch(t, db, withDatabase(url, 'no_such_database'))
  await ready()
  await until(() => logged.length > 0, 'it is refused')
  await announceChange(db, 'soft')
  await clock.advance(5_000)
  await until(() => told.length === 1, 'the change is found')
  t.match(told, [{ change: 'soft', isNotice: false }])
  t.match(logged, [/refuses to listen for changes: they are found by comparing/])
})

t.test('a database that is away is asked again, and told of once', async (t) => {
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const db = openDatabase(server.url, () => {})
  t.teardown(() => db.destroy())
  await server.stop()
  const { clock, told, ready, logged } = watch(t, db, server.url)
  await ready()
  for (let count = 0; count < 3; count += 1) await clock.advance(5_000)
  await until(() => logged.length === 2, 'both are told')
  t.same(logged.toSorted(), [
    'popular posts: cannot ask for changes, trying again',
    'popular posts: not listening for changes, trying again',
  ])
  await server.restart()
  await until(async () => {
    await clock.advance(5_000)
    return logged.length > 2
  }, 'it asks again')
  t.match(logged[2], /does not tell of changes/)
  t.ok(told.every(({ change }) => change === 'hard'))
})

t.test('the start does not wait for a database that keeps silent', async (t) => {
  const silent = { connect: () => new Promise<never>(() => {}), end: async () => {}, options: {} }
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: silent }) })
  const clock = createVirtualClock()
  const { ready } = watchChanges({
    ...{ db, databaseUrl: undefined, clock, log: { info() {}, warn() {} } },
    onChange() {},
  })
  let isReady = false
  const starting = ready().then(() => {
    isReady = true
  })
  await clock.advance(999)
  t.equal(isReady, false)
  await clock.advance(1)
  await starting
  t.equal(isReady, true)
})
