import { readFile } from 'node:fs/promises'
import { Pool } from 'pg'
import t, { type Test } from 'tap'
import { createService } from '../helpers/blog.ts'
import { startPostgres } from '../helpers/private-postgres.ts'
import { runProgram } from '../helpers/program.ts'
import { command } from '../helpers/service.ts'

const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
// Roles are those of a server.
const server = await startPostgres()
t.teardown(() => server.remove())

/** A database with an owner that may create roles, as the master user of RDS may. */
async function createDatabase(name: string, owner: string) {
  const admin = new Pool({ connectionString: server.url })
  for (const statement of [
    `create role ${owner} login createrole`,
    `create database ${name} owner ${owner}`,
    `do $$ begin if to_regrole('rds_iam') is null then create role rds_iam; end if; end $$`,
    `grant rds_iam to ${owner} with admin option`,
  ])
    await admin.query(statement)
  await admin.end()
  const urlOf = (user: string) => {
    const url = new URL(server.url)
    return Object.assign(url, { username: encodeURIComponent(user), pathname: `/${name}` }).href
  }
  const query = async (user: string, sql: string) => {
    const pool = new Pool({ connectionString: urlOf(user) })
    try {
      return (await pool.query(sql)).rows
    } finally {
      await pool.end()
    }
  }
  return { urlOf, query }
}

t.test('the user of the service reads lists and counts views, and may do nothing else', async (t) => {
  const blogs = [
    { name: 'plain', user: 'plain_api', args: ['migrate'], prefix: '' },
    { name: 'odd_user', user: 'Odd "User"', args: ['migrate', '--schema', 'Own "one"'], prefix: '"Own ""one""".' },
  ]
  for (const { name, user, args, prefix } of blogs) {
    const owner = `${name}_owner`
    const { urlOf, query } = await createDatabase(name, owner)
    const env = { DATABASE_URL: urlOf(owner), DATABASE_SERVICE_USER: user }
    for (const _ of ['created', 'there already']) {
      const program = command(t, args, env)
      t.equal(await program.ended(), 0, program.stderr())
    }
    await query(owner, `insert into ${prefix}posts (slug, title, url, published_at) values ('a', 'A', '/a', now())`)
    const quoted = `'${user}'`
    t.same(await query(owner, `select pg_has_role(${quoted}, 'rds_iam', 'member') as iam`), [{ iam: true }], name)

    const schema = prefix === '' ? {} : { DATABASE_SCHEMA: 'Own "one"' }
    const app = await createService(t, urlOf(user), schema)
    t.match((await app.inject('/posts/popular')).json(), [{ slug: 'a', views: 0 }], name)
    t.equal((await app.inject({ method: 'POST', url: '/posts/a/views', headers: READER })).statusCode, 204)
    t.match(await app.postViews.flush(), { views: 1 }, name)
    await app.popularPosts.refresh()
    t.match((await app.inject('/posts/popular')).json(), [{ slug: 'a', views: 1 }], name)
    t.match((await app.inject('/health/ready')).json(), { status: 'ok' }, name)

    const forbidden = [
      `update ${prefix}posts set title = 'B'`,
      `delete from ${prefix}posts`,
      `drop table ${prefix}post_views_total`,
      `create table ${prefix}mine (id int)`,
      `delete from ${prefix}popular_posts_site`,
    ]
    for (const statement of forbidden) await t.rejects(query(user, statement), { code: '42501' }, statement)
    await app.close()
  }
})

t.test('the user that migrates is not the user of the service', async (t) => {
  const { urlOf, query } = await createDatabase('own', 'own_owner')
  const program = command(t, ['migrate'], { DATABASE_URL: urlOf('own_owner'), DATABASE_SERVICE_USER: 'own_owner' })
  t.equal(await program.ended(), 1)
  t.match(program.stderr(), /^DATABASE_SERVICE_USER: expected another user than own_owner, which migrates: .*\n$/)
  t.same(await query('own_owner', `select to_regclass('posts') is not null as there`), [{ there: true }])
})

/** Runs the function `migrate` in a process of its own. Resolves to what it writes to stderr when it fails. */
async function failureOfMigrate(t: Test, env: NodeJS.ProcessEnv, event: object): Promise<string | undefined> {
  const code = `
    const { migrate } = await import('./lambda-migrate.ts')
    await migrate(${JSON.stringify(event)})`
  const program = runProgram(t, '--input-type=module', {
    args: ['--eval', code],
    env: { REDIS_URL: 'redis://127.0.0.1:9', ...env },
  })
  return (await program.ended()) === 0 ? undefined : program.stderr()
}

async function invokeMigrate(t: Test, env: NodeJS.ProcessEnv): Promise<void> {
  t.equal(await failureOfMigrate(t, env, { adopt: { postId: 'uuid' } }), undefined)
}

t.test('without a proxy, the function migrate signs in with the secret that its event has', async (t) => {
  const { urlOf, query } = await createDatabase('sealed', 'sealed_owner')
  const admin = new Pool({ connectionString: server.url })
  await admin.query(`alter role sealed_owner password 'pass: "word"'`)
  const line = 'host all sealed_owner 127.0.0.1/32 scram-sha-256'
  await admin.query(`copy (select 1) to program 'sed -i "1i ${line}" pg_hba.conf'`)
  await admin.query('select pg_reload_conf()')
  await admin.end()
  const aws = { AWS_REGION: 'eu-central-1', AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI' }
  const user = { DATABASE_IAM: 'true', DATABASE_SERVICE_USER: 'sealed_api' }
  const env = { ...aws, ...user, DATABASE_URL: urlOf('sealed_owner') }
  t.match(
    await failureOfMigrate(t, env, {}),
    /does not accept the user or the password/,
    'a token of IAM is no password',
  )
  const secret = { username: 'sealed_owner', password: 'pass: "word"' }
  const other = await failureOfMigrate(t, env, { ...secret, username: 'postgres' })
  t.match(other, /expects username to be sealed_owner, the migrateUser of the stage, got postgres/)
  const wrong = await failureOfMigrate(t, env, { ...secret, password: 'guess' })
  t.match(wrong, /does not accept the user or the password/)
  t.notMatch(wrong, /guess/)
  t.match(await failureOfMigrate(t, env, { ...secret, password: 1 }), /expects password to be text/)
  t.equal(await failureOfMigrate(t, env, secret), undefined)
  t.equal(await failureOfMigrate(t, env, secret), undefined, 'and again')
  t.same(await query('sealed_api', 'select * from post_views_total'), [])
})

t.test('the function migrate grants, too, and adopts', async (t) => {
  const { urlOf, query } = await createDatabase('adopted', 'adopted_owner')
  await invokeMigrate(t, { DATABASE_URL: urlOf('adopted_owner'), DATABASE_SERVICE_USER: 'adopted_api' })
  t.same(await query('adopted_api', 'select * from popular_posts.post_views_total'), [])
  await t.rejects(query('adopted_api', 'create table popular_posts.mine (id int)'), { code: '42501' })
})

t.test('the documented SQL prepares an existing database for the functions', async (t) => {
  const document = await readFile(new URL('../../docs/deploy.md', import.meta.url), 'utf8')
  const [, sql = ''] = /```sql\n([\s\S]*?)```/.exec(document) ?? []
  const { urlOf, query } = await createDatabase('existing', 'master')
  await query('master', 'create table public.articles (id uuid primary key)')
  // PostgreSQL 15 and RDS: a user that creates a schema for another user is a member of it.
  for (const statement of sql.trim().split(/;\n?/)) {
    if (statement.startsWith('create schema')) await query('master', 'grant popular_posts to master')
    await query('master', statement)
  }
  const env = { DATABASE_URL: urlOf('popular_posts'), DATABASE_SERVICE_USER: 'popular_posts_api' }
  await invokeMigrate(t, env)
  await invokeMigrate(t, env)
  t.same(await query('popular_posts_api', 'select * from popular_posts.post_views_total'), [])
  t.same(await query('popular_posts', 'select * from articles'), [])
  await t.rejects(query('popular_posts_api', 'select * from articles'), { code: '42501' })
})
