import t from 'tap'
import { pendingMigrations } from '../../db/migrate.ts'
import { createTestDatabase, providePostgres } from './postgres.ts'

t.test('each test database has the tables, and is separate', async (t) => {
  const [one, two] = await Promise.all([createTestDatabase(t), createTestDatabase(t)])
  t.same(await pendingMigrations(one.db), [])
  await one.db.insertInto('authors').values({ slug: 'ada', name: 'Ada' }).execute()
  t.same(await two.db.selectFrom('authors').selectAll().execute(), [])
})

t.test('with migrate: false a test database is empty', async (t) => {
  const { db } = await createTestDatabase(t, { migrate: false })
  t.not((await pendingMigrations(db)).length, 0)
})

t.test('a test database is dropped when its test ends, also with open connections', async (t) => {
  let name = ''
  await t.test('a test that uses a database', async (t) => {
    const { url, db } = await createTestDatabase(t)
    name = new URL(url).pathname.slice(1)
    await db.selectFrom('authors').selectAll().execute()
  })
  const { pool } = await createTestDatabase(t, { migrate: false })
  const { rows } = await pool.query('select from pg_database where datname = $1', [name])
  t.same(rows, [])
})

t.test('statements are counted per database, without their constants', async (t) => {
  const [counted, other] = await Promise.all([createTestDatabase(t), createTestDatabase(t)])
  await counted.resetStatements()
  for (const slug of ['a', 'b', 'c'])
    await counted.db.selectFrom('authors').select('id').where('slug', '=', slug).execute()
  await other.db.selectFrom('authors').select('id').execute()
  t.equal(await counted.countStatements(/from "authors"/g), 3)
  t.equal(await counted.countStatements(/from "posts"/), 0)
  await counted.resetStatements()
  t.equal(await counted.countStatements(/./), 0)
})

t.test('the server of the test run comes first, then DATABASE_URL', async (t) => {
  t.match(await providePostgres({ TEST_DATABASE_URL: 'postgres://run', DATABASE_URL: 'postgres://given' }), {
    url: 'postgres://run',
  })
  t.match(await providePostgres({ DATABASE_URL: 'postgres://given' }), { url: 'postgres://given' })
})
