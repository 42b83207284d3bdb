import { readFileSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findFilters } from '../../../db/filters.ts'
import { inOwnSchema } from '../../../db/own-schema.ts'
import { findPopularPosts } from '../../../db/ranking.ts'
import { createTestDatabase } from '../../helpers/postgres.ts'
import { temporaryDirectory } from '../../helpers/temporary-directory.ts'
import { runAdopt } from './run-adopt.ts'

const document = readFileSync(new URL('../../../docs/adopt.md', import.meta.url), 'utf8')

/** The SQL blocks and the commands below a heading. */
function exampleOf(heading: string) {
  const section = document.split('\n## ').find((text) => text.startsWith(`${heading}\n`)) ?? ''
  const [tables = '', file = ''] = [...section.matchAll(/```sql\n([\s\S]*?)```/g)].map(([, sql = '']) => sql)
  const [, commands = ''] = /```sh\n([\s\S]*?)```/.exec(section) ?? []
  return { tables, file, commands: commands.trim().split('\n') }
}

/** The arguments of a command of the document. */
const argsOf = (command: string) =>
  [...command.replace(/^npx popular-posts adopt ?/, '').matchAll(/"([^"]*)"|(\S+)/g)].map(
    ([, quoted, plain]) => quoted ?? plain ?? '',
  )

async function adopted(t: Test, heading: string) {
  const { tables, file, commands } = exampleOf(heading)
  const { db, pool, url } = await createTestDatabase(t, { migrate: false })
  await pool.query(tables)
  const folder = await temporaryDirectory(t)
  await writeFile(join(folder, 'adopt.sql'), file)
  for (const command of commands) {
    const args = argsOf(command).map((arg) => (arg === 'adopt.sql' ? join(folder, arg) : arg))
    const { code, stdout, stderr } = await runAdopt(t, url, args)
    t.equal(code, undefined, `${command}\n${stderr}`)
    t.match(stdout, /^The blog is connected/, 'without a problem')
  }
  if (file !== '') t.ok(file.trim().split('\n').length <= 11, 'ten lines are written by hand')
  const schemaOf = (schema = 'popular_posts') => inOwnSchema(db, () => schema)
  const list = (filter = {}, schema?: string) =>
    findPopularPosts(schemaOf(schema), { sort: 'views', days: 0, limit: 9, timeZone: 'UTC', ...filter })
  return { pool, list, filters: () => findFilters(schemaOf()) }
}

t.test('several languages in one table', async (t) => {
  const { list, filters } = await adopted(t, 'Several languages in one table')
  t.match(await list(), [{ id: '1:de' }, { id: '1:en', slug: 'spring', excerpt: '', readingMinutes: 1 }])
  t.match(await list({ language: 'de' }), [{ title: 'Frühling' }])
  t.same((await filters()).languages?.sort(), ['de', 'en'])
})

t.test('translations in a table of their own', async (t) => {
  const { list } = await adopted(t, 'Translations in a table of their own')
  const all = await list()
  t.same(all.map(({ url }) => url).sort(), ['/de/fruehling', '/en/spring'])
  t.match(await list({ language: 'de' }), [{ author: null, categories: [], tags: [], image: null, commentCount: 0 }])
})

t.test('languages in one column, as JSON', async (t) => {
  const { list, filters } = await adopted(t, 'Languages in one column, as JSON')
  t.match(await list(), [
    { id: '2', title: 'Autumn', url: '/posts/2' },
    { id: '1', title: 'Frühling', slug: '1' },
  ])
  t.same((await filters()).languages, ['de'])
})

t.test('deleted rows that stay in the table', async (t) => {
  const { list } = await adopted(t, 'Deleted rows that stay in the table')
  t.match(await list(), [{ slug: 'spring' }])
  t.equal((await list()).length, 1)
})

t.test('drafts beside published versions', async (t) => {
  const { list } = await adopted(t, 'Drafts beside published versions')
  t.same(
    (await list()).map(({ title }) => title),
    ['Spring'],
  )
})

t.test('tags in an array or in JSON', async (t) => {
  const { list, filters } = await adopted(t, 'Tags in an array or in JSON')
  t.match(await list(), [{ tags: ['Rain', 'Warm Days'], categories: [{ name: 'Garden', slug: 'garden' }] }])
  t.match(await list({ tag: ['warm-days'] }), [{ slug: 'spring' }])
  t.same((await filters()).tags.sort(), ['rain', 'warm-days'])
  t.same((await filters()).categories, ['garden'])
})

t.test('several authors', async (t) => {
  const { pool, list, filters } = await adopted(t, 'Several authors')
  t.match(await list(), [{ author: { name: 'Bob Elm', slug: 'bob' } }])
  for (const author of ['ann', 'bob']) t.match(await list({ author: [author] }), [{ slug: 'spring' }], author)
  t.same(await list({ author: ['cyd'] }), [])
  t.same((await filters()).authors.sort(), ['ann', 'bob'])
  await pool.query(
    "update post set published_at = null; insert into post values (2, 'x', 'X', now() - interval '1 day')",
  )
  t.same((await filters()).authors, [], 'authors of drafts stay secret')
})

t.test('pages in a tree', async (t) => {
  const { list } = await adopted(t, 'Pages in a tree')
  t.match(await list(), [{ slug: 'guides/garden/spring', url: '/guides/garden/spring' }])
})

t.test('several sites in one table', async (t) => {
  const { list } = await adopted(t, 'Several sites in one table')
  t.same(
    (await list()).map(({ title }) => title),
    ['Spring'],
  )
  t.same(
    (await list({}, 'popular_posts_2')).map(({ title }) => title),
    ['Spring elsewhere'],
  )
})
