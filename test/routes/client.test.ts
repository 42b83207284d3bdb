import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { createService, fillBlog } from '../helpers/blog.ts'
import { runIn } from '../helpers/checkout.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const TOKEN = 'a token for the tests'

/** The code of a developer who has only the document. */
const PROGRAM = `
  import createClient from 'openapi-fetch'
  import type { components, paths } from './api.js'

  const client = createClient<paths>({ baseUrl: process.argv[2] ?? '' })
  const list = await client.GET('/posts/popular', { params: { query: { limit: 2, sort: 'trending', exclude: ['post-2'] } } })
  const posts: components['schemas']['PopularPost'][] = list.data ?? []
  const categories = await client.GET('/categories', { params: { query: { days: 7 } } })
  const view = await client.POST('/posts/{slug}/views', { params: { path: { slug: 'post-1' } } })
  const missing = await client.POST('/posts/{slug}/views', { params: { path: { slug: 'nothing' } } })
  const headers = { authorization: 'Bearer ${TOKEN}' }
  const invalidated = await client.POST('/posts/popular/invalidate', { body: { mode: 'soft' }, headers })
  const refused = await client.POST('/posts/popular/invalidate', {})
  const ready = await client.GET('/health/ready')
  const metrics = await client.GET('/metrics', { parseAs: 'text' })
  // @ts-expect-error -- a wrong parameter is an error of the compiler's
  const wrong = await client.GET('/posts/popular', { params: { query: { days: 'week' } } })
  // @ts-expect-error -- and so is a field that posts do not have
  posts[0]?.headline

  console.log(JSON.stringify({
    titles: posts.map((post) => post.title),
    authors: posts.map((post) => post.author?.name),
    categories: categories.data?.map(({ slug, postCount }) => [slug, postCount]),
    etag: list.response.headers.get('etag'),
    statuses: [view, missing, invalidated, refused, wrong].map(({ response }) => response.status),
    codes: [missing.error?.code, refused.error?.code, wrong.error?.code],
    invalidated: invalidated.data?.invalidated,
    ready: ready.data?.status,
    metrics: metrics.data?.includes('popular_posts_reads_total'),
  }))
`

t.test('a client made from the document is checked by the compiler, and works', async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const app = await createService(t, url, { ADMIN_TOKEN: TOKEN })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  const directory = await temporaryDirectory(t)
  const node = (...args: string[]) =>
    runIn(directory, process.execPath, ...args).catch(
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    )
  await symlink(join(root, 'node_modules'), join(directory, 'node_modules'))
  await writeFile(join(directory, 'package.json'), '{"type":"module"}')
  await writeFile(join(directory, 'openapi.json'), await (await fetch(`${address}/openapi.json`)).text())
  await writeFile(join(directory, 'client.ts'), PROGRAM)

  const hooks = join(root, 'test', 'fixtures', 'typescript-5.js')
  const generator = join(root, 'node_modules', 'openapi-typescript', 'bin', 'cli.js')
  t.match(await node(`--import=${hooks}`, generator, 'openapi.json', '--output', 'api.ts'), 'openapi.json → api.ts')

  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node', '--outDir', 'built']
  t.equal(await node(tsc, ...options, 'client.ts'), '')

  t.same(JSON.parse(await node('built/client.js', address)), {
    titles: ['Post 1', 'Post 3'],
    authors: ['Ann Ω', 'Ann Ω'],
    categories: [['odd', 2]],
    etag: (await fetch(`${address}/posts/popular?limit=2&sort=trending&exclude=post-2`)).headers.get('etag'),
    statuses: [204, 404, 200, 401, 400],
    codes: ['PP_NO_SUCH_POST', 'PP_UNAUTHORIZED', 'PP_BAD_QUERY'],
    invalidated: 'soft',
    ready: 'ok',
    metrics: true,
  })
})
