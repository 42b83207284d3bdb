import Fastify from 'fastify'
import {
  CamelCasePlugin,
  DeduplicateJoinsPlugin,
  DummyDriver,
  Kysely,
  type KyselyPlugin,
  type Kysely as KyselyType,
  MssqlQueryCompiler,
  MysqlAdapter,
  MysqlIntrospector,
  MysqlQueryCompiler,
  OperationNodeTransformer,
  ParseJSONResultsPlugin,
  PostgresDialect,
  type PrimitiveValueListNode,
  type SelectQueryNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
  sql,
  WhereNode,
} from 'kysely'
import { Pool, types } from 'pg'
import t, { type Test } from 'tap'
import popularPosts, { type PopularPostsOptions } from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'

const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }

/** Every column as the driver's text: what the host's parsers make of a type. */
type Parse = (text: string, oid: number) => unknown
const { builtins } = types
const only = (oids: readonly number[], parse: (text: string) => unknown): Parse => {
  return (text, oid) => (oids.includes(oid) ? parse(text) : types.getTypeParser(oid, 'text')(text))
}
const INTEGERS = [builtins.INT2, builtins.INT4, builtins.INT8]
const PARSERS: Record<string, Parse> = {
  'nothing is parsed': (text) => text,
  'integers as bigint': only(INTEGERS, BigInt),
  'integers as objects': only(INTEGERS, (text) => ({ valueOf: () => Number(text) })),
  'bigint as number': only([builtins.INT8], Number),
  'floats and numerics as text': only([builtins.FLOAT4, builtins.FLOAT8, builtins.NUMERIC], String),
  'dates as objects': only([builtins.DATE, builtins.TIMESTAMP, builtins.TIMESTAMPTZ], (iso) => ({ iso })),
  'json as text': only([builtins.JSON, builtins.JSONB], String),
  'json as objects of a class': only([builtins.JSON, builtins.JSONB], (text) => new Map([['json', text]])),
  'booleans as text': only([builtins.BOOL], String),
  'arrays as text': only([1000, 1003, 1005, 1007, 1009, 1016, 1022], String),
}

/** How a session writes and reads dates, and numbers. In each, dates may be written with an ambiguous name of a zone. */
const SESSIONS = [
  'datestyle=German',
  'datestyle=SQL,DMY',
  'datestyle=Postgres,MDY',
  'timezone=Asia/Kolkata',
  'timezone=America/Chicago',
  'intervalstyle=iso_8601',
  'extra_float_digits=-15',
  'standard_conforming_strings=on',
  'bytea_output=escape',
]
const optionsOf = (settings: readonly string[]) => settings.map((setting) => `-c ${setting}`).join(' ')

/** Everything that an app does with its database, and the JSON of its lists. */
async function useDatabase(
  t: Test,
  pool: Pool,
  source: Pick<PopularPostsOptions, 'db' | 'databaseUrl'>,
): Promise<unknown> {
  const warnings: string[] = []
  const app = Fastify({ logger: { level: 'warn', stream: { write: (line) => void warnings.push(line) } } })
  await app.register(popularPosts, { ...source, viewFlushSeconds: 0 })
  const lists = []
  for (const url of [
    '/posts/popular?days=0',
    '/posts/popular?days=7&sort=trending',
    '/posts/popular?tag=start',
    '/categories',
  ])
    lists.push((await app.inject(url)).json())
  t.equal((await app.inject({ method: 'POST', url: '/posts/post-2/views', headers: READER })).statusCode, 204)
  await until(() => app.postViews.stats().counted === 1, 'the view is recorded')
  t.match(await app.postViews.flush(), { views: 1, batches: 1, waiting: 0 })
  t.match(await app.postViews.prune(), { hasMore: false })
  await pool.query("insert into posts (slug, title, url, published_at) values ('new', 'New', '/n', now())")
  const seen = async () => (await app.popularPosts.get({ days: 0, limit: 50 })).some(({ slug }) => slug === 'new')
  await until(seen, 'the new post is in the list', 20_000)
  t.same(warnings, [])
  await app.close()
  return lists
}

/** A plugin that changes results. */
const shout: KyselyPlugin = {
  transformQuery: ({ node }) => node,
  transformResult: async ({ result }) => ({
    ...result,
    rows: result.rows.map((row) =>
      Object.fromEntries(Object.entries(row).map(([name, value]) => [name.toUpperCase(), value])),
    ),
  }),
}

/** A blog that is the same in each database. */
async function createBlog(t: Test) {
  const database = await createTestDatabase(t)
  await fillBlog(database.db, 5)
  await database.pool.query(`
    update posts set published_at = timestamptz '2026-01-02 03:04:05.678+00' - id * interval '1 hour',
      image_url = '/i.png', image_width = 640, image_height = case when id = 1 then 480 end`)
  return database
}

t.test('with any parsers, session settings and plugins of the host, the lists are the same', async (t) => {
  t.jobs = 6
  const hosts: [name: string, parse: Parse | undefined, options: string, plugins: KyselyPlugin[]][] = [
    ...Object.entries(PARSERS).map(([name, parse]): (typeof hosts)[number] => [name, parse, '', []]),
    ...SESSIONS.map((setting): (typeof hosts)[number] => [setting, undefined, optionsOf([setting]), []]),
    ['all of it', PARSERS['nothing is parsed'], optionsOf([SESSIONS[0] ?? '', 'timezone=Asia/Kolkata']), []],
    ...[new CamelCasePlugin(), new DeduplicateJoinsPlugin(), new ParseJSONResultsPlugin(), shout].map(
      (plugin, index): (typeof hosts)[number] => [`${plugin.constructor.name} ${index}`, undefined, '', [plugin]],
    ),
  ]
  const blog = await createBlog(t)
  const plain = await useDatabase(t, blog.pool, { db: blog.db })
  const tests = hosts.map(([name, parse, options, plugins]) =>
    t.test(name, { buffered: true }, async (t) => {
      const { pool, url } = await createBlog(t)
      const hostPool = new Pool({
        connectionString: url,
        options,
        ...(parse && { types: { getTypeParser: (oid: number) => (text: string) => parse(text, oid) } }),
      })
      hostPool.on('error', () => {})
      const db = new Kysely<never>({ dialect: new PostgresDialect({ pool: hostPool }), plugins })
      t.same(await useDatabase(t, pool, { db }), plain)
      await db.destroy()
    }),
  )
  await Promise.all(tests)

  await t.test('parsers of the whole process, with databaseUrl', async (t) => {
    const { pool, url: databaseUrl } = await createBlog(t)
    for (const oid of Object.values(builtins)) {
      const known = types.getTypeParser(oid, 'text')
      types.setTypeParser(oid, String)
      t.teardown(() => types.setTypeParser(oid, known))
    }
    t.same(await useDatabase(t, pool, { databaseUrl }), plain)
  })
})

/** A plugin that adds a condition to each query, as that of a tenant does. */
class OnlyMine extends OperationNodeTransformer implements KyselyPlugin {
  transformQuery: KyselyPlugin['transformQuery'] = ({ node }) => this.transformNode(node)
  transformResult: KyselyPlugin['transformResult'] = async ({ result }) => result
  protected override transformSelectQuery(node: SelectQueryNode): SelectQueryNode {
    return { ...node, where: WhereNode.create(sql`tenant = 1`.toOperationNode()) }
  }
}

/** A plugin that rewrites values. */
class OtherValues extends OperationNodeTransformer implements KyselyPlugin {
  transformQuery: KyselyPlugin['transformQuery'] = ({ node }) => this.transformNode(node)
  transformResult: KyselyPlugin['transformResult'] = async ({ result }) => result
  protected override transformPrimitiveValueList(node: PrimitiveValueListNode): PrimitiveValueListNode {
    return node
  }
}

t.test('a Kysely instance whose queries would silently be other ones is refused', async (t) => {
  const { db, url } = await createTestDatabase(t)
  const pool = new Pool({ connectionString: url })
  pool.on('error', () => {})
  t.teardown(() => pool.end())
  const dialect = new PostgresDialect({ pool })
  const other = { createDriver: () => new DummyDriver() }
  const sqlite = {
    ...other,
    createAdapter: () => new SqliteAdapter(),
    createIntrospector: (kysely: KyselyType<unknown>) => new SqliteIntrospector(kysely),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  }
  const mysql = {
    ...other,
    createAdapter: () => new MysqlAdapter(),
    createIntrospector: (kysely: KyselyType<unknown>) => new MysqlIntrospector(kysely),
    createQueryCompiler: () => new MysqlQueryCompiler(),
  }
  const mssql = { ...mysql, createQueryCompiler: () => new MssqlQueryCompiler() }
  /** Kysely has no such dialect; packages have one. */
  class OracleQueryCompiler extends SqliteQueryCompiler {
    protected override getCurrentParameterPlaceholder(): string {
      return ':1'
    }
  }
  const oracle = { ...sqlite, createQueryCompiler: () => new OracleQueryCompiler() }
  const register = async (kysely: unknown) => {
    const app = Fastify()
    await app.register(popularPosts, { db: kysely as KyselyType<never> })
    await app.close()
  }
  const CHANGED =
    /db: expected a Kysely instance without plugins that change tables .*: pass new Kysely\(\{ dialect \}\)/
  const SCHEMA = /db: expected .* without withSchema, got one with withSchema\('pp'\): .* in the option schema/
  for (const [name, kysely, message] of [
    ['withSchema', db.withSchema('pp'), SCHEMA],
    ['withSchema and another plugin', db.withPlugin(new CamelCasePlugin()).withSchema('pp'), SCHEMA],
    ['withSchema and a condition', new Kysely<never>({ dialect, plugins: [new OnlyMine()] }).withSchema('pp'), CHANGED],
    ['a plugin with a condition', new Kysely<never>({ dialect, plugins: [new OnlyMine()] }), CHANGED],
    ['SQLite', new Kysely<never>({ dialect: sqlite }), /db: expected .* a dialect of PostgreSQL, got one of SQLite/],
    ['MySQL', new Kysely<never>({ dialect: mysql }), /db: expected .* PostgreSQL, got one of MySQL or MariaDB/],
    ['SQL Server', new Kysely<never>({ dialect: mssql }), /db: expected .* PostgreSQL, got one of SQL Server/],
    ['Oracle', new Kysely<never>({ dialect: oracle }), /db: expected .* PostgreSQL, got one of another database/],
    ['a pool', pool, /db: expected a Kysely instance, got something else/],
  ] as const)
    await t.rejects(register(kysely), { code: 'PP_INVALID_OPTIONS', message }, name)
  await db.transaction().execute(async (trx) => {
    await t.rejects(register(trx), { code: 'PP_INVALID_OPTIONS', message: /db: expected .*, got a transaction/ })
  })
  await t.resolves(register(new Kysely<never>({ dialect, plugins: [new OtherValues()] })))
})
