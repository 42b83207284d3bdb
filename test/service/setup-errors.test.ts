import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { Client } from 'pg'
import t, { type Test } from 'tap'
import { BY_CODE, BY_MESSAGE, explainDatabaseError } from '../../db/explain-error.ts'
import type { MigrateOptions } from '../../db/migrate.ts'
import { StartupError } from '../../lib/errors.ts'
import { readConfig } from '../../service/config.ts'
import { openServiceDatabase } from '../../service/database.ts'
import { makeCertificate } from '../helpers/certificate.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { command, expectStartError } from '../helpers/service.ts'
import { withDatabase } from '../helpers/services/template-database.ts'
import { until } from '../helpers/services/until.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

const SECRET = 'hunter2-secret'
const USER = 'ann_the_user'
/** The codes and messages of servers and sockets in these tests. */
const produced = new Set<unknown>()

/** The error of opening the database of a URL: one sentence without address, user and password. */
async function failure(t: Test, url: string, migrate?: MigrateOptions): Promise<string> {
  const error = await openServiceDatabase(
    readConfig({ DATABASE_URL: url }),
    migrate === undefined ? {} : { migrate },
  ).then(
    async ({ close }) => {
      await close()
      return undefined
    },
    (error: unknown) => error,
  )
  return check(t, error)
}

function check(t: Test, error: unknown): string {
  if (!(error instanceof StartupError)) {
    t.fail(`expected a StartupError, got ${String(error)}`)
    return ''
  }
  const cause = error.cause instanceof Error ? error.cause : error
  const code = 'code' in cause ? cause.code : undefined
  produced.add(BY_MESSAGE.find(([pattern]) => pattern.test(cause.message))?.[0] ?? code)
  t.notMatch(error.message, /hunter2|ann_the_user|127\.0\.0\.1|localhost|:\d{4,5}\b/, 'it names no secret')
  t.notMatch(error.message, /\n|\$url|\$object/, 'it is one sentence')
  return error.message
}

/** Starts a server that ends with the test. Resolves to its port. */
async function portOf(t: Test, server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return (server.address() as AddressInfo).port
}

const socketThat = (t: Test, does: (socket: Socket) => void) =>
  portOf(
    t,
    createServer((socket) => {
      socket.on('error', () => undefined)
      does(socket)
    }),
  )

const at = (port: number, options = '') => `postgres://${USER}:${SECRET}@127.0.0.1:${port}/blog${options}`

/** A server that replies to the first message with an error, as PostgreSQL and poolers do. */
function refusing(t: Test, code: string, message: string): Promise<number> {
  const fields = `SFATAL\0VFATAL\0C${code}\0M${message}\0\0`
  const head = Buffer.alloc(5)
  head.write('E')
  head.writeInt32BE(fields.length + 4, 1)
  return socketThat(t, (socket) => socket.once('data', () => socket.end(Buffer.concat([head, Buffer.from(fields)]))))
}

t.test('errors for no server, a silent server, and servers of other protocols', async (t) => {
  t.match(await failure(t, at(9)), /^No server answers at the address in DATABASE_URL \(ECONNREFUSED\): start Post/)
  const folder = await temporaryDirectory(t)
  t.match(await failure(t, `postgres:///blog?host=${folder}`), /no socket in the folder .* \(ENOENT\)/)
  t.match(
    await failure(t, `postgres://${USER}:${SECRET}@no-such-host.invalid/blog`),
    /^The (?:name of the )?host in DATABASE_URL (does not exist|could not be looked up) \((ENOTFOUND|EAI_AGAIN)\)/,
  )
  const resets = await socketThat(t, (socket) => socket.once('data', () => socket.resetAndDestroy()))
  t.match(await failure(t, at(resets)), /^PostgreSQL ended the connection \(ECONNRESET\)/)
  const closes = await socketThat(t, (socket) => socket.once('data', () => socket.end()))
  t.match(await failure(t, at(closes)), /^PostgreSQL ended the connection: check that what DATABASE_URL names is/)
  const web = await portOf(t, createHttpServer())
  t.match(await failure(t, at(web)), /^PostgreSQL ended the connection: check that what DATABASE_URL names is/)
  const mysql = await socketThat(t, (socket) => socket.write('J\0\0\0\x0a8.0.36\0'.padEnd(78, '\0')))
  t.match(
    await failure(t, at(mysql)),
    /^The program that answers at the address in DATABASE_URL is no PostgreSQL server/,
  )
  t.match(
    await failure(t, at(web, '?sslmode=require')),
    /^The program that answers at the address .* is no PostgreSQL server/,
  )
  const silent = await socketThat(t, (socket) => socket.resume())
  t.match(await failure(t, at(silent)), /^The server in DATABASE_URL does not answer: check its host and port/)
  const other = await socketThat(t, (socket) =>
    socket.once('data', () => socket.write('R\0\0\0\x0e\0\0\0\x0aOTHER\0'.padEnd(15, '\0'))),
  )
  t.match(
    await failure(t, at(other)),
    /^The server in DATABASE_URL requires an authentication method that the driver lacks/,
  )
})

t.test('error codes that this machine cannot cause have a sentence, too', async (t) => {
  for (const code of ['ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EPIPE']) {
    const said = explainDatabaseError(Object.assign(new Error(`${code} 192.0.2.1:5432`), { code }), 'DATABASE_URL')
    t.match(said, new RegExp(`^[A-Z].* \\(${code}\\): .+\\.$`))
    t.notMatch(said, '192.0.2.1')
    produced.add(code)
  }
  t.equal(explainDatabaseError(new Error('boom'), 'DATABASE_URL'), undefined)
  t.equal(explainDatabaseError('boom', 'DATABASE_URL'), undefined)
})

t.test('errors of PostgreSQL and of poolers for a connection', async (t) => {
  for (const [code, message, sentence] of [
    [
      '08P01',
      'unsupported startup parameter: statement_timeout',
      /refuses the parameter statement_timeout \(08P01\): remove it from DATABASE_URL; in place of a search_path/,
    ],
    [
      '08P01',
      'unsupported startup parameter in options: search_path',
      /refuses the parameter search_path \(08P01\): remove it from DATABASE_URL/,
    ],
    ['0A000', 'RDS Proxy currently doesn’t support command-line options.', /lacks a feature that this package needs/],
    ['57P03', 'the database system is starting up', /is starting up, stopping or recovering \(57P03\): try again/],
    ['57P01', 'terminating connection due to administrator command', /ended the connection \(57P01\)/],
    ['57P02', 'terminating connection because of crash of another server process', /ended the connection \(57P02\)/],
    ['53100', 'could not extend file "base/5/16384": No space left on device', /^The disk of the server is full/],
    ['53200', 'out of memory', /^The server is out of memory/],
    ['40001', 'could not serialize access', /conflicted with another one \(40001\): try again/],
    ['40P01', 'deadlock detected', /conflicted with another one \(40P01\): try again/],
    ['58030', `could not read for user "${USER}"`, /could not be used \(58030\): see the log of PostgreSQL/],
  ] as const)
    t.match(await failure(t, at(await refusing(t, code, message))), sentence, code)
  for (const message of ['no such user: ann_the_user', 'login failed: no password for user "ann_the_user"'])
    t.match(
      await failure(t, at(await refusing(t, '08P01', message))),
      /refuses the connection \(08P01\): the log of the pooler has the reason/,
    )
})

t.test('errors for the user, the password, the database and its limits', async (t) => {
  const directory = await temporaryDirectory(t)
  const hba = join(directory, 'hba', 'pg_hba.conf')
  await mkdir(join(directory, 'hba'), { mode: 0o755 })
  await writeFile(
    hba,
    `host all postgres 127.0.0.1/32 trust\nhost all ${USER} 127.0.0.1/32 scram-sha-256\nhost all md5_user 127.0.0.1/32 md5\nhost all plain_user 127.0.0.1/32 password\n`,
    { mode: 0o644 },
  )
  const server = await startPostgres({ settings: { hba_file: hba } })
  t.teardown(() => server.remove())
  const admin = new Client({ connectionString: server.url })
  await admin.connect()
  const roles = ['ann_the_user', 'md5_user', 'plain_user', 'nowhere_user']
  await admin.query("set password_encryption = 'md5'")
  for (const role of roles) await admin.query(`create role ${role} login password '${SECRET}'`)
  await admin.query(`set password_encryption = 'scram-sha-256'; alter role ${USER} password '${SECRET}'`)
  const as = (user: string, password: string, options = '') =>
    `postgres://${user}${password && `:${password}`}@127.0.0.1:${server.port}/postgres${options}`

  for (const user of ['ann_the_user', 'md5_user', 'plain_user'])
    t.match(
      await failure(t, as(user, 'hunter2-wrong')),
      /^The server does not accept the user or the password .* \(28P01\)/,
    )
  t.match(
    await failure(t, as(USER, '')),
    /^The server in DATABASE_URL requires a password, and the URL has none: add it/,
  )
  for (const user of ['md5_user', 'plain_user']) t.match(await failure(t, as(user, '')), /or the URL has no password/)
  t.match(await failure(t, as('nowhere_user', SECRET)), /rejects its user \(28000\): .* pg_hba\.conf/)
  t.match(await failure(t, withDatabase(server.url, 'no_such')), /^The database that .* does not exist \(3D000\)/)

  await admin.query('create database closed allow_connections false')
  t.match(await failure(t, withDatabase(server.url, 'closed')), /accepts no connections \(55000\)/)
  await admin.query(`alter role ${USER} connection limit 0`)
  t.match(await failure(t, as(USER, SECRET)), /accepts no more connections \(53300\)/)
  await admin.query(`alter role ${USER} connection limit -1`)

  t.match(await failure(t, as(USER, SECRET), {}), /has no right to schema public \(42501\)/)
  const service = command(t, ['migrate'], { DATABASE_URL: server.url })
  t.equal(await service.ended(), 0, service.stderr())
  t.match(await failure(t, as(USER, SECRET)), /has no right to table popular_posts_migration\w* \(42501\)/)

  t.match(await failure(t, as('postgres', '', '?options=-cno_such=1')), /does not accept no_such \(42704\)/)
  t.match(await failure(t, as('postgres', '', '?options=-cDateStyle=odd')), /does not accept datestyle \(22023\)/i)
  t.match(await failure(t, as('postgres', '', '?sslmode=require')), /has no TLS, which the URL requires/)
  await admin.end()

  await server.restartAsStandby()
  t.match(await failure(t, server.url, { adopt: { postId: 'bigint' } }), /has the blog tables of this package/)
  t.match(await failure(t, as('postgres', '', '?options=-csearch_path%3Dpg_temp'), {}), /25006|No schema/)
})

t.test('errors for an untrusted certificate, and for that of another host', async (t) => {
  const { keyFile, certFile } = await makeCertificate(t, [])
  const server = await startPostgres()
  t.teardown(() => server.remove())
  const admin = new Client({ connectionString: server.url })
  await admin.connect()
  // The user of the server writes them, because that user has to own the key.
  for (const [name, file] of [
    ['server.crt', certFile],
    ['server.key', keyFile],
  ] as const) {
    const text = await readFile(file, 'utf8')
    await admin.query('create table if not exists pem (line text); truncate pem')
    await admin.query('insert into pem select unnest($1::text[])', [text.trim().split(/\r?\n/)])
    await admin.query(`copy pem to program 'umask 077; cat > ${name}'`)
  }
  await admin.query('alter system set ssl = on')
  await admin.end()
  await server.restart()
  const tls = (host: string, options: string) => `postgres://postgres@${host}:${server.port}/postgres?${options}`
  t.match(await failure(t, tls('localhost', 'sslmode=verify-full')), /is not trusted \((DEPTH_ZERO_)?SELF_SIGNED/)
  t.match(
    await failure(t, tls('127.0.0.1', `sslmode=verify-full&sslrootcert=${certFile}`)),
    /for another host than the one in DATABASE_URL \(ERR_TLS_CERT_ALTNAME_INVALID\)/,
  )
  for (const code of [
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'CERT_HAS_EXPIRED',
  ]) {
    t.match(explainDatabaseError(Object.assign(new Error(), { code }), 'DATABASE_URL'), code)
    produced.add(code)
  }
})

t.test('names that another program uses: service and command print them, and what to do', async (t) => {
  const TODO =
    /docs\/adopting\.md \("npx popular-posts migrate --adopt"\).*: DATABASE_SCHEMA=popular_posts \(--schema popular_posts\)/
  for (const [taken, names] of [
    ['create table posts (mine text)', 'posts'],
    ['create view tags as select 1 as mine; create table "comments" (mine text)', 'comments, tags'],
    ['create table post_views_daily (mine text)', 'post_views_daily'],
  ] as const) {
    const { pool, url } = await createTestDatabase(t, { migrate: false })
    await pool.query(taken)
    for (const said of [await failure(t, url), await failure(t, url, {})]) {
      t.match(said, `Tables of another program have names in the schema that this package needs: ${names} (42P07): `)
      t.match(said, TODO)
    }
    const { rows } = await pool.query("select from pg_class where relname = 'post_views_total'")
    t.equal(rows.length, 0, 'nothing was made')
    // The command from the message.
    const own = readConfig({ DATABASE_URL: url, DATABASE_SCHEMA: 'popular_posts' })
    await t.rejects(openServiceDatabase(own), {
      message:
        /lacks tables .* in the schema popular_posts .*: run "npx popular-posts migrate" with this DATABASE_SCHEMA/,
    })
    await (await openServiceDatabase(own, { migrate: {} })).close()
    await (await openServiceDatabase(own)).close()
    await (await openServiceDatabase(readConfig({ DATABASE_URL: url }))).close()
  }
  for (const [code, taken, name] of [
    ['42710', "create type posts as enum ('mine')", 'posts'],
    [
      '42723',
      'create function popular_posts_announce(text, timestamptz) returns void language sql as $$$$',
      'popular_posts_announce',
    ],
    ['42P07', 'create sequence posts_author_id_idx', 'posts_author_id_idx'],
  ]) {
    const { pool, url } = await createTestDatabase(t, { migrate: false })
    await pool.query(String(taken))
    t.match(await failure(t, url, {}), `this package needs: ${name} (${code}): `)
  }
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  await pool.query('create table posts (mine text)')
  await expectStartError(t, command(t, ['migrate'], { DATABASE_URL: url }), TODO)
  await expectStartError(t, command(t, ['demo'], { DATABASE_URL: url }), TODO)
  t.match(
    explainDatabaseError(Object.assign(new Error('Relation »posts« existiert bereits'), { code: '42P07' }), 'DATA_DIR'),
    /needs: posts \(42P07\): .*DATA_DIR/,
  )
})

t.test('errors for tables that are missing, locked or read-only', async (t) => {
  const { pool, url } = await createTestDatabase(t)
  const during = async (code: string, sentence: RegExp, make: string, undo: string) => {
    await pool.query(make)
    const said = await failure(t, url, {})
    t.match(said, sentence, code)
    await pool.query(undo)
  }
  await during(
    '42P01',
    /no object named (?:public\.)?post_views_total \(42P01\): .*search_path/,
    'alter table post_views_total rename to away',
    'alter table away rename to post_views_total',
  )
  const database = new URL(url).pathname.slice(1)
  // As if the last migrations had not run.
  await pool.query(
    "delete from popular_posts_migration where name >= '013'; drop table feed_posts, popular_posts_adoption, post_views_import, post_views_import_count, post_views_log_import, post_views_log_visits",
  )
  await pool.query('alter table categories drop column parent_id; alter table posts drop column language')
  await pool.query(
    'alter table post_views_total drop column views_rank, drop column heat_rank; drop index post_views_window_rank_idx, posts_published_at_idx, post_categories_category_id_post_id_idx, post_tags_tag_id_post_id_idx',
  )
  await during(
    '25006',
    /is read-only: it is a standby, or default_transaction_read_only is on \(25006\)/,
    `alter database ${database} set default_transaction_read_only = on`,
    `begin read write; alter database ${database} reset default_transaction_read_only; commit`,
  )

  const holder = await pool.connect()
  await holder.query('begin')
  await holder.query('lock table popular_posts_migration_lock in access exclusive mode')
  await holder.query(`select set_config('search_path', 'public', false)`)
  const cancelled = failure(t, url, {})
  await until(async () => {
    const { rowCount } = await pool.query(
      "select pg_cancel_backend(pid) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
    )
    return rowCount !== 0
  }, 'the migration waits')
  t.match(await cancelled, /cancelled, or waited too long .* \(57014\)/)
  await pool.query(`alter database ${database} set lock_timeout = '20ms'`)
  t.match(await failure(t, url, {}), /cancelled, or waited too long .* \(55P03\)/)
  await holder.query('rollback')
  holder.release()
  await pool.query(`alter database ${database} reset lock_timeout`)

  await (await openServiceDatabase(readConfig({ DATABASE_URL: url }), { migrate: {} })).close()
  await pool.query('drop function popular_posts_announce cascade')
  const invalidate = command(t, ['invalidate'], { DATABASE_URL: url })
  await expectStartError(t, invalidate, /no object named function popular_posts_announce\(.*\) \(42883\)/)
  produced.add('42883')
  await pool.query('alter table site_facts rename column value to content')
  await expectStartError(t, command(t, ['demo'], { DATABASE_URL: url }), /no object named "?(column )?value/)
  produced.add('42703')
  const missing = await pool.query('create table no_such.mine ()').catch((error: unknown) => error)
  t.match(explainDatabaseError(missing, 'DATABASE_URL'), /no schema no_such \(3F000\): create it with "create schema"/)
  produced.add('3F000')
  const late = Object.assign(new Error('Query read timeout'))
  t.match(explainDatabaseError(late, 'DATABASE_URL'), /cancelled, or waited too long/)
  produced.add(BY_MESSAGE.find(([pattern]) => pattern.test(late.message))?.[0])
})

t.test('an error for a server that is too old', async (t) => {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  await pool.query('create schema old')
  await pool.query("create function old.current_setting(text) returns text language sql as $$select '120022'$$")
  for (const migrate of [undefined, {}])
    t.match(
      await failure(t, `${url}?options=-csearch_path%3Dold,pg_catalog`, migrate),
      /^Expected PostgreSQL 13 or newer, got 12/,
    )
})

t.test('an error for a database of a newer version', async (t) => {
  const { pool, url } = await createTestDatabase(t)
  await pool.query("insert into popular_posts_migration values ('999-of-the-future', now())")
  await (await openServiceDatabase(readConfig({ DATABASE_URL: url }))).close()
  const newer = /^The database has migrations that this version of the package does not know: use the newer version/
  t.match(await failure(t, url, {}), newer)
  await expectStartError(t, command(t, ['migrate'], { DATABASE_URL: url }), newer)
})

t.test('errors of the embedded database refer to its log', async (t) => {
  for (const [error, code] of [
    [new Error('Connection terminated unexpectedly'), 'the connection ended'],
    [Object.assign(new Error('the database system is starting up'), { code: '57P03' }), '57P03'],
  ] as const)
    t.equal(
      explainDatabaseError(error, 'DATA_DIR'),
      `The embedded database in DATA_DIR could not be used (${code}): see postgres/postgres.log in that folder.`,
    )
})

t.test('a message that names no object refers to the log', async (t) => {
  const error = Object.assign(new Error('there is none'), { code: '3F000' })
  t.match(explainDatabaseError(error, 'postgres://localhost/blog'), 'the object that its log names')
})

t.test('the tests cause every sentence', async (t) => {
  const all = [...Object.keys(BY_CODE), ...BY_MESSAGE.map(([pattern]) => pattern)]
  t.same(
    all.filter((one) => !produced.has(one)),
    [],
  )
})
