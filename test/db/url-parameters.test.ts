import Fastify from 'fastify'
import type { Pool } from 'pg'
import t from 'tap'
import popularPosts from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { command } from '../helpers/service.ts'
import { until } from '../helpers/services/until.ts'

const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/129.0' }
/** With IAM the password is a token for each connection; a server that trusts its users does not request it. */
const IAM = {
  DATABASE_IAM: 'true',
  AWS_REGION: 'eu-central-1',
  AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'an example',
}

/** The names of the connections to the database. */
async function names(pool: Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    "select distinct application_name as name from pg_stat_activity where datname = current_database() and application_name <> ''",
  )
  return rows.map(({ name }) => name).sort()
}

/** Which part of an app asks. */
const NAMES = ['popular-posts', 'popular-posts listener', 'popular-posts-flush', 'popular-posts-lists']

for (const [how, env, options] of [
  ['in the URL', {}, {}],
  ['made for each connection', IAM, { databasePassword: () => 'a token' }],
] as const) {
  t.test(`with a password ${how}, the parameters of the URL hold for every connection`, async (t) => {
    const { db, pool, url } = await createTestDatabase(t)
    await fillBlog(db, 3)
    await pool.query('create schema pp')
    for (const search of ['options=-csearch_path%3Dpp', 'options=-c%20search_path%3D%22pp%22&application_name=blog']) {
      const databaseUrl = `${url}?${search}`
      const migrating = command(t, ['migrate'], { DATABASE_URL: databaseUrl, ...env })
      t.equal(await migrating.ended(), 0, migrating.stderr())
      const { rows } = await pool.query("select to_regclass('pp.post_views_total') is not null as made")
      t.same(rows, [{ made: true }], 'tables are in the schema of the URL')
      await pool.query(
        `insert into pp.posts (slug, title, url, published_at) values ('in-pp', 'Here', '/h', now()) on conflict do nothing`,
      )
      const app = Fastify()
      t.teardown(() => app.close())
      await app.register(popularPosts, { databaseUrl, viewFlushSeconds: 0, ...options })
      t.match((await app.inject('/posts/popular')).json(), [{ slug: 'in-pp' }])
      t.equal((await app.inject('/posts/popular')).json().length, 1, 'no post of the other schema')
      t.equal((await app.inject({ method: 'POST', url: '/posts/in-pp/views', headers: READER })).statusCode, 204)
      await until(async () => {
        await app.postViews.flush()
        return app.postViews.stats().flushed === 1
      }, 'the view is counted')
      const expected = search.includes('application_name') ? ['blog'] : NAMES
      await until(async () => (await names(pool)).join() === expected.join(), `all are named ${expected}`)
      await app.close()
    }
    t.match((await pool.query('select sum(views)::int as views from pp.post_views_total')).rows, [{ views: 2 }])
  })
}
