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

async function createBlog(t: Test, migrate: (run: (...args: string[]) => Promise<string>) => Promise<unknown>) {
  const { pool, url } = await createTestDatabase(t, { migrate: false })
  const run = (...args: string[]) => runIn(directory, 'env', `DATABASE_URL=${url}`, process.execPath, ...args)
  const adopt = async (...args: string[]) => {
    const { code, stderr } = await runAdopt(t, url, args)
    t.equal(code, undefined, `adopt ${args.join(' ')} ${stderr}`)
  }
  await migrate(run)
  await pool.query(`insert into posts (slug, title, published_at) values ('one', 'One', '2020-01-01')`)
  await adopt('--apply')
  await pool.query('insert into popular_posts.post_views_total (post_id, views, heat) values (1, 7, 0)')
  return { pool, run, adopt }
}

async function titleType(pool: Pool): Promise<unknown> {
  const { rows } = await pool.query(
    `select format_type(atttypid, atttypmod) as type from pg_attribute where attrelid = 'public.posts'::regclass and attname = 'title'`,
  )
  return rows[0]?.type
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

  const tables = join(directory, 'tables.js')
  await writeFile(
    tables,
    (await readFile(tables, 'utf8')).replace('title: varchar({ length: 80 })', 'title: varchar({ length: 200 })'),
  )
  await adopt('--drop')
  await run(...KIT, 'push', '--force')
  await adopt('--apply')
  t.equal(await titleType(pool), 'character varying(200)')
  await adopt('--check')
})
