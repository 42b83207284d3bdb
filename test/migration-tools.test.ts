import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Pool } from 'pg'
import t, { type Test } from 'tap'
import { runAdopt } from './bin/adopt/run-adopt.ts'
import { runIn } from './helpers/checkout.ts'
import { createTestDatabase } from './helpers/postgres.ts'
import { npmInstall } from './helpers/tarball.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const directory = await temporaryDirectory(t)
await cp(fileURLToPath(new URL('./migration-tools', import.meta.url)), directory, { recursive: true })
await runIn(directory, 'npm', ...npmInstall, '--ignore-scripts')
await runIn(directory, 'npm', 'rebuild', 'esbuild')

/** All that the database has, but what a migration of the blog changes: objects of our schema, and triggers. */
async function ours(pool: Pool): Promise<unknown[]> {
  const { rows } = await pool.query(`
    select relname, relkind from pg_class where relnamespace = 'popular_posts'::regnamespace
    union all select tgrelid::regclass || ' ' || tgname, 't' from pg_trigger where not tgisinternal
    union all select 'views', views::text::"char" from popular_posts.post_views_total
    order by 1, 2`)
  return rows
}

const POST = `insert into posts (slug, title, published_at) values ('one', 'One', '2020-01-01')`

async function createBlog(
  t: Test,
  migrate: (run: (...args: string[]) => Promise<string>) => Promise<unknown>,
  { post = POST, id = '1' } = {},
) {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  const environment = [`DATABASE_URL=${url}`, 'CHECKPOINT_DISABLE=1', 'PRISMA_HIDE_UPDATE_MESSAGE=1']
  const run = (...args: string[]) => runIn(directory, 'env', ...environment, process.execPath, ...args)
  const adopt = async (...args: string[]) => {
    const { code, stderr } = await runAdopt(t, url, args)
    t.equal(code, undefined, `adopt ${args.join(' ')} ${stderr}`)
  }
  await migrate(run)
  await pool.query(post)
  await adopt('--apply')
  await pool.query('insert into popular_posts.post_views_total (post_id, views, heat) values ($1, 7, 0)', [id])
  return { pool, run, adopt }
}

async function titleType(pool: Pool, table = 'public.posts'): Promise<unknown> {
  const { rows } = await pool.query(
    `select format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = $1::regclass and attname = 'title'`,
    [table],
  )
  return rows[0]?.type
}

async function replaceIn(name: string, ...changes: readonly (readonly [from: string, to: string])[]): Promise<void> {
  const file = join(directory, name)
  let text = await readFile(file, 'utf8')
  for (const [from, to] of changes) text = text.replace(from, to)
  await writeFile(file, text)
}

t.test('Knex migrates a blog that was adopted, forth and back', async (t) => {
  const KNEX = ['node_modules/knex/bin/cli.js', '--knexfile', 'knexfile.cjs'] as const
  const { pool, run, adopt } = await createBlog(t, (run) => run(...KNEX, 'migrate:up'))
  const before = await ours(pool)
  await t.rejects(run(...KNEX, 'migrate:latest'), /cannot alter type of a column used by a view/)
  t.same(await ours(pool), before, 'a migration that fails changes nothing')
  for (const [command, type] of [
    ['migrate:latest', 'character varying(200)'],
    ['migrate:down', 'character varying(80)'],
  ] as const) {
    await adopt('--drop')
    await run(...KNEX, command)
    await adopt('--apply')
    t.equal(await titleType(pool), type)
    await adopt('--check')
  }
  t.same(
    (await ours(pool)).filter((each) => !/popular_posts_/.test(JSON.stringify(each))),
    before.filter((each) => !/popular_posts_/.test(JSON.stringify(each))),
  )
  t.match(await run(...KNEX, 'migrate:list'), /Found 1 Completed Migration file\/files/)
})

t.test('Drizzle sees its own tables only, and changes these', async (t) => {
  const KIT = ['node_modules/drizzle-kit/bin.cjs'] as const
  const { pool, run, adopt } = await createBlog(t, (run) => run(...KIT, 'push', '--force'))
  const before = await ours(pool)
  t.match(await run(...KIT, 'push', '--force'), /No changes detected/)
  t.same(await ours(pool), before)
  await run(...KIT, 'pull')
  const pulled = await readFile(join(directory, 'pulled/schema.ts'), 'utf8')
  t.match(pulled, /pgTable\("posts"/)
  t.notMatch(pulled, /popular|post_views/)

  await replaceIn('tables.js', ['title: varchar({ length: 80 })', 'title: varchar({ length: 200 })'])
  await adopt('--drop')
  await run(...KIT, 'push', '--force')
  await adopt('--apply')
  t.equal(await titleType(pool), 'character varying(200)')
  await adopt('--check')
})

t.test('Prisma sees its own tables only, and changes these', async (t) => {
  const PRISMA = ['node_modules/prisma/build/index.js'] as const
  const DEV = [...PRISMA, 'migrate', 'dev', '--skip-generate', '--name'] as const
  const PUSH = [...PRISMA, 'db', 'push', '--skip-generate'] as const
  const id = 'cmwzmric30000oh7d22igkp1b'
  const post = `insert into "Post" (id, slug, title, published, "publishedAt")
    values ('${id}', 'one', 'One', true, '2020-01-01')`
  const { pool, run, adopt } = await createBlog(t, (run) => run(...DEV, 'blog'), { post, id })
  const before = await ours(pool)
  t.match(await run(...PRISMA, 'migrate', 'status'), /Database schema is up to date/)
  t.match(await run(...PUSH), /already in sync/)
  const pulled = await run(...PRISMA, 'db', 'pull', '--print')
  t.match(pulled, /model Post /)
  t.notMatch(pulled, /popular|post_views/)

  const page = 'model Page {\n  id String @id\n  @@schema("public")\n}\n'
  await replaceIn(
    'schema.prisma',
    ['Int?', 'BigInt?'],
    ['  published ', '  words String?\n  published '],
    ['model User', `${page}model User`],
  )
  t.match(await run(...DEV, 'more'), /now in sync/, 'the shadow database has no drift')
  t.same(await ours(pool), before)

  await replaceIn('schema.prisma', ['VarChar(80)', 'VarChar(200)'])
  await t.rejects(run(...DEV, 'longer_titles'), /cannot alter type of a column used by a view/)
  t.same(await ours(pool), before, 'a migration that fails changes nothing')
  await t.rejects(run(...PRISMA, 'migrate', 'deploy'), /P3009/, 'Prisma runs no migration after one that failed')
  await adopt('--drop')
  // What "prisma migrate resolve --rolled-back" does. That command needs the native engine.
  await pool.query('update _prisma_migrations set rolled_back_at = now() where finished_at is null')
  await run(...PRISMA, 'migrate', 'deploy')
  t.equal(await titleType(pool, 'public."Post"'), 'character varying(200)')
  await adopt('--apply')
  await adopt('--check')

  await run(...PRISMA, 'migrate', 'reset', '--force', '--skip-generate')
  await pool.query(post)
  await adopt('--apply')
  await adopt('--check')
  t.match(JSON.stringify(await ours(pool)), /"views","relkind":"7"/, 'a reset of Prisma keeps the counters')

  await replaceIn('schema.prisma', ['["public"]', '["public", "popular_posts"]'])
  const refused = await run(...PUSH).catch((error: unknown) => error)
  t.match(refused, { stdout: /about to drop the `post_views_total` table, which is not empty/ })
})
