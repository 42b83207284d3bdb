/** Clients of others: one that @hey-api/openapi-ts generates from our document, and the cache of undici. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import t from 'tap'
import { createService, fillBlog } from './helpers/blog.ts'
import { runIn } from './helpers/checkout.ts'
import { startOrigin } from './helpers/origin.ts'
import { createTestDatabase } from './helpers/postgres.ts'
import { npmInstall } from './helpers/tarball.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

const TOKEN = 'a token for the tests'
const directory = await temporaryDirectory(t)
await writeFile(join(directory, 'package.json'), '{"private":true,"type":"module"}')
// The newest versions that run on Node.js 20.
const packages = ['@hey-api/openapi-ts@~0.90', 'undici@7', 'typescript@5.9', '@types/node@20']
const reason = await runIn(directory, 'npm', ...npmInstall, '--ignore-scripts', ...packages).then(
  () => '',
  () => 'the packages cannot be installed',
)
const node = (...args: string[]) =>
  runIn(directory, process.execPath, ...args).catch(
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  )

const CLIENT = `
  import { createClient } from './api/client/index.js'
  import * as api from './api/index.js'

  const client = createClient({ baseUrl: process.argv[2] ?? '' })
  const list = await api.listPopularPosts({ client, query: { limit: 2, sort: 'trending', exclude: ['post-2'] } })
  const titles: string[] = (list.data ?? []).map((post) => post.title)
  const wrong = await api.listPopularPosts({ client, query: { days: -1 } })
  const code: string | undefined = wrong.error && 'code' in wrong.error ? wrong.error.code : undefined
  // @ts-expect-error -- a wrong parameter is an error of the compiler's
  const mistyped = await api.listPopularPosts({ client, query: { days: 'week' } })
  // @ts-expect-error -- and so is a field that posts do not have
  list.data?.[0]?.headline
  const view = await client.post({ url: '/posts/{slug}/views', path: { slug: 'post-1' } })
  console.log(JSON.stringify({
    titles, code, statuses: [list, wrong, mistyped, view].map(({ response }) => response?.status),
  }))
`

t.test('a client that @hey-api/openapi-ts generates compiles, and works', { skip: reason }, async (t) => {
  const { db, url } = await createTestDatabase(t)
  await fillBlog(db, 3)
  const app = await createService(t, url, { ADMIN_TOKEN: TOKEN })
  const address = await app.listen({ port: 0, host: '127.0.0.1' })
  await writeFile(join(directory, 'openapi.json'), await (await fetch(`${address}/openapi.json`)).text())
  const generator = join('node_modules', '@hey-api', 'openapi-ts', 'bin', 'run.js')
  await node(generator, '-i', 'openapi.json', '-o', 'api', '-c', '@hey-api/client-fetch')
  await writeFile(join(directory, 'client.ts'), CLIENT)
  const tsc = join('node_modules', 'typescript', 'bin', 'tsc')
  const options = ['--strict', '--module', 'preserve', '--moduleResolution', 'bundler', '--target', 'es2022']
  t.equal(await node(tsc, ...options, '--skipLibCheck', '--noEmit', '--types', 'node', 'client.ts'), '')
  const [entry, outfile] = [join(directory, 'client.ts'), join(directory, 'client.mjs')]
  await build({ entryPoints: [entry], outfile, bundle: true, platform: 'node', format: 'esm', logLevel: 'silent' })
  t.same(JSON.parse(await node('client.mjs', address)), {
    titles: ['Post 1', 'Post 3'],
    code: 'PP_BAD_QUERY',
    statuses: [200, 400, 400, 204],
  })
})

const CACHED = `
  import { Agent, cacheStores, interceptors } from 'undici'
  const [address, encoding] = process.argv.slice(2)
  const store = new cacheStores.MemoryCacheStore()
  const agent = new Agent().compose(interceptors.cache({ store }))
  const { origin, pathname: path } = new URL(address)
  const get = async (headers) => {
    const { statusCode, headers: { age, etag }, body } = await agent.request({ origin, path, method: 'GET', headers })
    return { statusCode, age, etag, bytes: (await body.bytes()).length }
  }
  const plain = [await get({}), await get({})]
  const gzip = [await get({ 'accept-encoding': 'gzip' }), await get({ 'accept-encoding': 'gzip' })]
  await new Promise((resolve) => setTimeout(resolve, 8000))
  const later = await get({})
  console.log(JSON.stringify({ plain, gzip, later }))
  await agent.close()
`

t.test(
  'the cache of undici keeps a list, each encoding apart, and verifies it with its ETag',
  { skip: reason },
  async (t) => {
    const origin = await startOrigin(t, { maxAgeSeconds: 6, staleWhileRevalidateSeconds: 0 })
    await writeFile(join(directory, 'cached.mjs'), CACHED)
    const { plain, gzip, later } = JSON.parse(await node('cached.mjs', `${origin.address}/posts/popular`)) as Record<
      'plain' | 'gzip',
      { statusCode: number; etag: string; bytes: number }[]
    > & { later: { statusCode: number; etag: string; bytes: number } }
    t.same(
      origin.seen.map(({ status, encoding, ifNoneMatch }) => ({ status, encoding, ifNoneMatch })),
      [
        { status: 200, encoding: '', ifNoneMatch: undefined },
        { status: 200, encoding: 'gzip', ifNoneMatch: undefined },
        { status: 304, encoding: '', ifNoneMatch: plain[0]?.etag },
      ],
    )
    for (const [first, second] of [plain, gzip]) {
      t.equal(first?.statusCode, 200)
      t.match(second, { statusCode: 200, etag: first?.etag, bytes: first?.bytes })
    }
    t.not(plain[0]?.etag, gzip[0]?.etag)
    t.match(later, { statusCode: 200, etag: plain[0]?.etag, bytes: plain[0]?.bytes })
  },
)
