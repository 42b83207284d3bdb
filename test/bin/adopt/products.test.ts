import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { applyScript } from '../../../bin/adopt/apply.ts'
import { readCatalog } from '../../../bin/adopt/catalog.ts'
import { propose } from '../../../bin/adopt/propose.ts'
import { writeSql } from '../../../bin/adopt/write-sql.ts'
import { changesSince } from '../../../changes/revision.ts'
import { findFilters } from '../../../db/filters.ts'
import { inOwnSchema } from '../../../db/own-schema.ts'
import { findPostsBySlug } from '../../../db/posts-by-slug.ts'
import { findPopularPosts } from '../../../db/ranking.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { BLOGS } from './blogs.ts'

const SCHEMA = 'popular_posts'
const tablesOf = (name: string) => readFileSync(new URL(`../../fixtures/adopt/${name}.sql`, import.meta.url), 'utf8')

for (const blog of BLOGS)
  t.test(`the tables of ${blog.name} are adopted`, async (t: Test) => {
    const { db: plain, pool } = await createTestDatabase(t, { migrate: false })
    await pool.query(tablesOf(blog.name))
    const catalog = await readCatalog(plain, SCHEMA)
    const { choices = {}, asks = [] } = blog
    for (const flag of asks) {
      const { [flag as keyof typeof choices]: _, ...others } = choices
      t.match(propose(catalog, others), { flag, candidates: [/./] })
    }
    const proposal = propose(catalog, choices)
    if ('flag' in proposal) {
      t.fail(`asks for ${JSON.stringify(proposal)}`)
      return
    }
    const proposed = writeSql(proposal, { schema: SCHEMA })
    const script = blog.edit?.(proposed) ?? proposed
    const known = new Set(proposed.split('\n'))
    t.ok(script.split('\n').filter((line) => !known.has(line)).length <= 10, 'at most ten lines are written by hand')
    const problems = await applyScript(plain, SCHEMA, script).catch((error: unknown) => {
      t.comment(script)
      throw error
    })
    t.same(problems, [])
    const db = inOwnSchema(plain, () => SCHEMA)
    const list = (filter = {}) =>
      findPopularPosts(db, { sort: 'views', days: 0, limit: 10, timeZone: 'UTC', ...filter })
    const all = await list()
    if (!t.match(all, [blog.one])) t.comment(script)
    const slugs = blog.slugs ?? ['one']
    t.same(
      all.map(({ slug }) => slug),
      slugs,
    )
    const filters = await findFilters(db)
    for (const [filter, names] of [
      ['author', blog.authors],
      ['category', blog.categories],
      ['tag', blog.tags],
    ] as const)
      for (const name of names ?? []) t.same((await list({ [filter]: [name] })).length, 1, `${filter} ${name}`)
    for (const name of blog.authors ?? []) t.ok(filters.authors.includes(name) || name === 'bob', name)
    t.match(await findPostsBySlug(db, slugs), new Map([[slugs[0], { id: all[0]?.id }]]))

    const { revision } = await changesSince(db, undefined)
    await pool.query(blog.publish)
    t.equal((await changesSince(db, revision)).mode, 'hard', 'publishing is announced')
    t.equal((await list()).length, slugs.length + 1)
  })
