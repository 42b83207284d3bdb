import { Kysely, PostgresDialect } from 'kysely'
import t, { type Test } from 'tap'
import { recordChange } from '../../changes/revision.ts'
import type { ChangeEvent } from '../../changes/throttle.ts'
import { watchChanges } from '../../changes/watch.ts'
import { openDatabase } from '../../db/open-database.ts'
import type { Tables } from '../../db/ranking.ts'
import { createTestDatabase, type TestDatabase } from '../helpers/postgres.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { withDatabase } from '../helpers/services/template-database.ts'
import { until } from '../helpers/services/until.ts'
import { createVirtualClock } from '../helpers/virtual-clock.ts'

/** Watches for changes on a virtual clock, and records reports and logs. */
function watch(t: Test, db: Kysely<Tables>, databaseUrl?: string) {
  const clock = createVirtualClock()
  const told: ChangeEvent[] = []
  const logged: string[] = []
  const log = (_details: object, message: string) => logged.push(message)
  const watching = watchChanges({
    db,
    databaseUrl,
    clock,
    log: { info: log, warn: log },
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

/** Waits until the one watcher of a database listens, and has compared after it: what changes now, a notification tells. */
async function listening(database: TestDatabase): Promise<void> {
  await until(async () => (await listeners(database)).length === 1, 'it listens')
  await until(async () => (await comparisons(database)) >= 2, 'it has compared at the start, and when it listened')
}

t.test('without a database URL, changes are polled every five seconds', async (t) => {
  const database = await createTestDatabase(t)
  const { clock, told, ready, close } = watch(t, database.db)
  await ready()
  await recordChange(database.db, 'soft')
  await clock.advance(4_999)
  t.strictSame(told, [])
  await clock.advance(1)
  await until(() => told.length === 1, 'the change is told')
  t.match(told, [{ mode: 'soft', name: /^soft \d+ [\d.]+$/, isNotification: false }])
  const before = await comparisons(database)
  await clock.advance(5_000)
  await until(async () => (await comparisons(database)) > before, 'it asks again')
  await close()
  const last = await comparisons(database)
  await clock.advance(60_000)
  t.equal(await comparisons(database), last, 'closed')
  t.equal(told.length, 1)
})

t.test('closing at once sends no query', async (t) => {
  const database = await createTestDatabase(t)
  const { ready, close } = watch(t, database.db)
  await Promise.all([ready(), close()])
  t.equal(await comparisons(database), 0)
})

t.test(
  'where the tables are missing, it says so once and asks no more; what is notified changes nothing',
  async (t) => {
    const database = await createTestDatabase(t, { migrate: false })
    const { pool, db, url } = database
    const quiet = watch(t, db)
    await quiet.ready()
    t.match(quiet.logged, [/does not record changes: run "npx popular-posts migrate"/])
    const asked = await comparisons(database)
    await quiet.clock.advance(600_000)
    t.equal(await comparisons(database), asked)

    const { clock, told, logged } = watch(t, db, url)
    await until(async () => (await listeners(database)).length === 1, 'it listens')
    await until(() => logged.length === 1, 'it has looked')
    const looks = () => database.countStatements(/to_regclass/)
    for (const payload of ['soft', '', 'hard 1 1']) {
      const before = await looks()
      await pool.query('select pg_notify($1, $2)', ['popular_posts', payload])
      await until(async () => {
        await clock.advance(1_000)
        return (await looks()) > before
      }, `it looks whether there are tables now, after "${payload}"`)
    }
    t.strictSame(told, [])
    await pool.query('select pg_terminate_backend($1)', await listeners(database))
    await until(() => told.length === 1, 'what was missed is not known')
    t.match(told, [{ mode: 'hard', name: undefined, isNotification: false }])
    t.equal(logged.filter((message) => message.includes('does not record')).length, 1)
  },
)

t.test('a notification is verified in the database', async (t) => {
  const database = await createTestDatabase(t)
  const { pool, db, url } = database
  await recordChange(db, 'hard')
  const { rows } = await pool.query<{ name: string }>(
    "select concat_ws(' ', change, xid, extract(epoch from changed_at)) as name from popular_posts_change",
  )
  const { clock, told, ready } = watch(t, db, url)
  await ready()
  await listening(database)
  await clock.advance(1_000)
  await recordChange(db, 'soft')
  await until(() => told.length === 1, 'what listens hears')
  const forged = [
    ...['x', '', 'hard', 'soft', 'hard 1', 'later', 'hard 123 1764000000.5', 'soft 123 1764000000.5'],
    ...['hard 999999999999999999 1', `hard ${'9'.repeat(30)} 1`, 'hard 0 0', 'hard 1 ...', "hard 1 1'", `hard 1 1\n`],
    // A change from before the start of this process.
    rows[0]?.name,
  ]
  for (const payload of forged) {
    const before = await comparisons(database)
    await pool.query('select pg_notify($1, $2)', ['popular_posts', payload])
    await until(async () => {
      await clock.advance(1_000)
      return (await comparisons(database)) > before
    }, `it looks what is behind ${payload}`)
  }
  t.equal(told.length, 1, 'nothing was')

  const genuine = async (change: 'hard' | 'soft') => {
    const client = await pool.connect()
    await client.query(`begin; select pg_notify('popular_posts', 'x'), pg_notify('popular_posts', 'hard 5 5')`)
    await client.query(`select popular_posts_announce('${change}'), pg_notify('popular_posts', 'hard 6 6')`)
    await client.query('commit')
    client.release()
  }
  await genuine('hard')
  await until(async () => {
    // The pause after the last forged notification may begin only now.
    await clock.advance(1_000)
    return told.length === 2
  }, 'what is true among them is told')
  t.match(told[1], { mode: 'hard', name: /^hard \d+ [\d.]+$/, isNotification: true })
})

t.test('when verifying a notification fails, it is retried', async (t) => {
  const database = await createTestDatabase(t)
  const { pool, db, url } = database
  const { clock, told, ready, logged } = watch(t, db, url)
  await ready()
  await listening(database)
  await pool.query('alter table popular_posts_change rename to away')
  await pool.query("notify popular_posts, 'hard 1 1'")
  await until(() => logged.length > 0, 'it says so')
  t.strictSame(logged, ['popular posts: the database could not be polled for changes, retrying'])
  t.strictSame(told, [])
  await pool.query('alter table away rename to popular_posts_change')
  await recordChange(db, 'hard')
  await until(async () => {
    await clock.advance(1_000)
    return told.length > 0
  }, 'the change is found')
  t.match(told, [{ mode: 'hard', isNotification: true }])
})

t.test('ten thousand notifications run a few statements', async (t) => {
  const database = await createTestDatabase(t)
  const { pool, db, url } = database
  const { clock, told, ready } = watch(t, db, url)
  await ready()
  await listening(database)
  await recordChange(db, 'soft')
  await until(() => told.length === 1, 'what listens hears')
  const flood = (payload: string) =>
    pool.query(`select pg_notify('popular_posts', ${payload}) from generate_series(1, 5000) as n`)
  const before = await comparisons(database)
  await flood(`'x' || n`)
  await flood(`'hard ' || n || ' 1764000000.5'`)
  await recordChange(db, 'hard')
  await until(async () => {
    await clock.advance(1_000)
    return told.length > 1
  }, 'the change at the end is found')
  const asked = (await comparisons(database)) - before
  t.comment(`10,000 forged notifications, and a change at the end: ${asked} statements`)
  t.ok(asked <= 30, `${asked} statements`)
  t.match(told.slice(1), [{ mode: 'hard', name: /^hard \d+ [\d.]+$/ }])
})

t.test('each of a thousand concurrent changes is reported with its own name', async (t) => {
  const database = await createTestDatabase(t)
  const { pool, db, url } = database
  const { told, ready } = watch(t, db, url)
  await ready()
  await listening(database)
  await recordChange(db, 'soft')
  await until(() => told.length === 1, 'what listens hears')
  const already = await comparisons(database)
  await Promise.all(
    Array.from({ length: 5 }, async () => {
      for (let count = 0; count < 200; count += 1) await recordChange(db, 'soft')
    }),
  )
  await until(() => told.length === 1001, 'all are told')
  const { rows } = await pool.query<{ name: string }>(
    "select concat_ws(' ', change, xid, extract(epoch from changed_at)) as name from popular_posts_change order by xid desc limit 1",
  )
  t.ok(rows[0])
  t.ok(told.every(({ isNotification }) => isNotification))
  t.comment(`1,000 changes, one by one: ${(await comparisons(database)) - already} statements`)
})

t.test('a change is reported once by its notification, a scheduled change when it is due', async (t) => {
  const database = await createTestDatabase(t)
  const { pool, db, url } = database
  const { clock, told, ready } = watch(t, db, url)
  await ready()
  await listening(database)
  await recordChange(db, 'hard')
  await until(() => told.length === 1, 'it is heard')
  t.match(told, [{ mode: 'hard', name: /^hard \d+ [\d.]+$/, isNotification: true }])
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
    // The test controls the time.
    await clock.advance(400)
    return told.length === 2
  }, 'the change is due')
  t.match(told[1], { mode: 'soft', isNotification: false })
})

t.test('changes without notifications are found by polling, which then runs more often', async (t) => {
  const [database, elsewhere] = [await createTestDatabase(t), await createTestDatabase(t)]
  // As behind a pooler: LISTEN succeeds, but no notification arrives.
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
  await recordChange(database.db, 'soft')
  t.equal(await asks(60_000), true)
  await until(() => told.length === 1, 'the change is found')
  t.equal(await asks(5_000), true)
  const before = await comparisons(database)
  await elsewhere.pool.query("notify popular_posts, 'later'")
  await until(async () => (await comparisons(database)) > before, 'it hears')
  t.equal(await asks(60_000), true, 'and asks less often')
})

t.test('after a reconnect, missed changes are reported; without a change nothing is reported', async (t) => {
  const database = await createTestDatabase(t)
  const { pool, db, url } = database
  const { told, ready, logged } = watch(t, db, url)
  await ready()
  await listening(database)
  const cut = async (meanwhile: string) => {
    const [pid] = await listeners(database)
    // No reconnect succeeds before the change.
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
  t.match(told, [{ mode: 'hard', name: /^hard / }])
  t.equal(told.length, 1, 'of the one change, and not of the lost connections')
  t.match(logged, [
    /not listening for changes any more, reconnecting/,
    /not listening for changes any more, reconnecting/,
  ])
})

t.test('when the server refuses LISTEN, that is logged once, and changes are found by polling', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const { clock, told, ready, logged } = watch(t, db, withDatabase(url, 'no_such_database'))
  await ready()
  await until(() => logged.length > 0, 'it is refused')
  await recordChange(db, 'soft')
  await clock.advance(5_000)
  await until(() => told.length === 1, 'the change is found')
  t.match(told, [{ mode: 'soft', isNotification: false }])
  t.match(logged, [/refuses LISTEN: changes are found by polling/])
})

t.test('a database that is down is retried, and logged once', async (t) => {
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
    'popular posts: not listening for changes any more, reconnecting',
    'popular posts: the database could not be polled for changes, retrying',
  ])
  await server.restart()
  await until(async () => {
    await clock.advance(5_000)
    return logged.length > 2
  }, 'it asks again')
  t.match(logged[2], /does not record changes/)
  t.ok(told.every(({ mode }) => mode === 'hard'))
})

t.test('the start does not wait for a database that does not reply', async (t) => {
  const silent = { connect: () => new Promise<never>(() => {}), end: async () => {}, options: {} }
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: silent }) })
  const clock = createVirtualClock()
  const { ready } = watchChanges({
    db,
    databaseUrl: undefined,
    clock,
    log: { info() {}, warn() {} },
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
