/** Runs the programs in the documents that no other test runs, and holds which test runs which. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { metrics as meters } from '@opentelemetry/api'
import Fastify, { type FastifyInstance } from 'fastify'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { createCache } from '../composition/create-cache.ts'
import popularPosts, { type PopularPost } from '../index.ts'
import metrics from '../plugins/metrics.ts'
import { watchWithOpenTelemetry } from '../telemetry/opentelemetry.ts'
import { fillBlog } from './helpers/blog.ts'
import { runIn } from './helpers/checkout.ts'
import { createTestDatabase } from './helpers/postgres.ts'
import { redisUrl } from './helpers/redis.ts'
import { until } from './helpers/services/until.ts'

const HERE = 'test/document-programs.test.ts'
/** Where the blocks of a document in a language are run, or why they are not. */
const RUN_BY: Record<string, string> = {
  'CONTRIBUTING.md sh': 'test/documents.test.ts',
  'README.md html': 'test/browser/element-documents.test.ts',
  'README.md js': 'test/readme.test.ts',
  'README.md sh': 'test/readme.test.ts',
  'SECURITY.md sh': 'test/documents.test.ts',
  'bench/peers/README.md sh': 'test/documents.test.ts',
  'docs/adopt.md sh': 'test/bin/adopt/documented.test.ts',
  'docs/adopt.md sql': 'test/bin/adopt/documented.test.ts',
  'docs/adopting.md sh': 'test/changes/adopting.test.ts',
  'docs/adopting.md sql': 'test/changes/adopting.test.ts',
  'docs/cache.md sh': 'test/documents.test.ts',
  'docs/counting.md html': 'test/browser/views.test.ts',
  'docs/counting.md js': HERE,
  'docs/deploy.md sql': 'test/db/service-user.test.ts',
  'docs/deploy.md sh': 'test/lambda/template.test.ts',
  'docs/deploy.md yaml': 'test/lambda/cloudfront.test.ts',
  'docs/element.md css': 'test/browser/element.test.ts',
  'docs/element.md html': 'test/browser/element-documents.test.ts',
  'docs/hosts.md js': 'test/hosts.test.ts',
  'docs/hosts.md sh': 'test/hosts.test.ts',
  'docs/hosts.md ts': 'test/hosts.test.ts',
  'docs/http.md json': HERE,
  'docs/import-counts.md sh': 'test/bin/import-counts/documented.test.ts',
  'docs/metrics.md js': HERE,
  'docs/metrics.md yaml': HERE,
  'docs/options.md ts': HERE,
  'docs/own-lists.md js': HERE,
  'docs/proxies.md nginx': 'test/proxies/nginx.test.ts',
  'docs/proxies.md vcl': 'test/proxies/varnish.test.ts',
  'docs/recipes.md js': HERE,
  'docs/recipes.md sh': HERE,
  'docs/scale.md sql': 'test/db/partitions.test.ts',
  'docs/static-sites.md sh': 'test/bin/import-feed/command.test.ts',
  'examples/blog/README.md sh': 'test/examples.test.ts',
  'examples/own-schema/README.md sh': 'test/examples.test.ts',
  'examples/smallest/README.md sh': 'test/examples.test.ts',
}

const root = fileURLToPath(new URL('..', import.meta.url))
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const blocks = (file: string) =>
  [...read(file).matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language = '', code = '']) => ({ language, code }))
const programs = (file: string, language = 'js') => blocks(file).filter((block) => block.language === language)

t.test('each block of code in a document has a test', async (t) => {
  const tracked = await runIn(root, 'git', 'ls-files', '--cached', '--others', '--exclude-standard', '*.md')
  // TypeDoc makes docs/api.md, from docstrings.
  const documents = tracked
    .trim()
    .split('\n')
    .filter((name) => name !== 'docs/api.md')
  const found = new Set(documents.flatMap((file) => blocks(file).map(({ language }) => `${file} ${language}`)))
  t.same([...found].sort(), Object.keys(RUN_BY).sort())
  for (const file of new Set(Object.values(RUN_BY))) t.ok(existsSync(join(root, file)), file)
})

const { db, url: databaseUrl } = await createTestDatabase(t)
await fillBlog(db, 30)
const READER = { 'user-agent': 'Mozilla/5.0 (X11; Linux) Firefox/144.0' }

/** Runs a program in the place of a function: its `import`s are left out, what it uses is passed by name. */
async function run(code: string, names: Record<string, unknown>): Promise<void> {
  const body = code.replace(/^import .*\n/gm, '')
  const program = new Function(...Object.keys(names), `return (async () => {\n${body}\n})()`)
  await (program(...Object.values(names)) as Promise<void>)
}

async function createApp(t: Test, isRegistered = true): Promise<FastifyInstance> {
  const app = Fastify()
  t.teardown(() => app.close())
  if (isRegistered) await app.register(popularPosts, { databaseUrl, adminToken: 'a token of 16 characters' })
  return app
}

t.test('docs/recipes.md', async (t) => {
  const app = await createApp(t)
  for (const { code } of programs('docs/recipes.md')) await run(code, { app })
  await app.ready()
  t.equal(app.popularPosts.stats().loads, 2, 'two lists are loaded before the app listens')
  const get = async (url: string, headers: Record<string, string> = READER) => {
    const reply = await app.inject({ url, headers })
    t.equal(reply.statusCode, 200, url)
    return reply
  }
  const sidebar = (await get('/blog/post-1')).json()
  t.match(sidebar, { slug: 'post-1', popular: [{ title: 'Post 2', url: '/posts/post-2' }] })
  t.equal(sidebar.popular.length, 5)
  t.match((await get('/most-read')).json(), { week: [{ slug: 'post-1' }], ever: [{ slug: 'post-1' }] })
  t.match((await get('/topics/odd')).json(), [{ slug: 'post-1' }, { slug: 'post-3' }, { slug: 'post-5' }])
  t.same((await get('/topics/none')).json(), [])
  const bytes = await get('/sidebar.json')
  t.equal(bytes.json().length, 5)
  const etag = String(bytes.headers.etag)
  t.equal((await app.inject({ url: '/sidebar.json', headers: { 'if-none-match': etag } })).statusCode, 304)
  const feed = (await get('/most-read.json')).json()
  t.match(feed.items[0], { title: 'Post 1', url: 'https://blog.example/posts/post-1', date_published: /^20/ })
  t.equal(feed.items.length, 20)
  t.match((await get('/members/post-9', { ...READER, 'x-user': '7' })).json(), { outcome: 'counted' })
  t.match((await get('/members/post-9', { 'user-agent': 'Mozilla/5.0 Chrome/99', 'x-user': '7' })).json(), {
    outcome: 'repeat',
  })

  const [{ code: command = '' } = {}] = programs('docs/recipes.md', 'sh')
  const [, header = '', url = ''] =
    /^curl -X POST -H "Authorization: (.+)" 'http:\/\/127\.0\.0\.1:3000(.+)'\n$/.exec(command) ?? []
  const authorization = header.replace('$ADMIN_TOKEN', 'a token of 16 characters')
  const invalidated = await app.inject({ method: 'POST', url, headers: { authorization } })
  t.match(invalidated.json(), { invalidated: 'hard' })
})

t.test('docs/counting.md', async (t) => {
  const [rendered, ignored] = programs('docs/counting.md')
  const app = await createApp(t)
  app.decorateReply('view', function view(_name: string, post: unknown) {
    return this.send(post)
  })
  await run(rendered?.code ?? '', { app, postOf: async (slug: string) => ({ slug }) })
  t.match((await app.inject({ url: '/blog/post-3', headers: READER })).json(), { slug: 'post-3' })
  await until(() => app.postViews.stats().counted === 1, 'the view of the page is counted')

  const other = await createApp(t, false)
  await run(ignored?.code ?? '', { app: other, popularPosts, databaseUrl })
  const ignore = { ...READER, cookie: 'staff=1' }
  t.equal((await other.inject({ method: 'POST', url: '/posts/post-1/views', headers: ignore })).statusCode, 204)
  t.match(other.postViews.stats(), { ignored: 1, counted: 0 })

  const addresses = programs('docs/counting.md', 'html').flatMap(({ code }) => [...code.matchAll(/src="([^"]+)"/g)])
  t.equal(addresses.length, 2)
  for (const [, address = ''] of addresses) {
    const url = address.replace('https://blog.example/posts/goat-has-my-map', '/posts/post-2')
    t.match(await app.inject({ url, headers: READER }), { statusCode: 200, headers: { 'content-type': 'image/gif' } })
  }
})

t.test('docs/own-lists.md', async (t) => {
  const [inApp, without] = programs('docs/own-lists.md')
  const app = await createApp(t)
  let queries = 0
  const execute = async () => {
    queries += 1
    return [{ name: 'Alps', count: queries }]
  }
  const tags = { selectFrom: () => ({ select: () => ({ execute }) }) }
  await run(inApp?.code ?? '', { app, db: tags, findRelated: async (slug: string) => [slug], slug: 'post-1' })
  const replies = await Promise.all([1, 2, 3].map(() => app.inject('/tags')))
  for (const reply of replies) t.same(reply.json(), [{ name: 'Alps', count: 1 }])
  t.same((await app.inject('/posts/post-2/related')).json(), ['post-2'])

  const url = await redisUrl()
  const program = without?.code.replace('redis://localhost:6379', url).replace('await cache.close()', '')
  const values: unknown[] = []
  await run(`${program}\nvalues.push(await cache.getOrSet('a', () => 7, { ttlSeconds: 9 }))\nawait cache.close()`, {
    createCache,
    log: undefined,
    values,
  })
  t.same(values, [7])
})

t.test('docs/options.md', async (t) => {
  // The second one has only types, as those of test/types.
  const [scope] = programs('docs/options.md', 'ts')
  const app = await createApp(t)
  await run(scope?.code ?? '', { app, popularPosts, loadRecipes: async () => [{ slug: 'soup' }] })
  t.match((await app.inject('/recipes/posts/popular')).json(), [{ slug: 'soup' }])
  t.match((await app.inject('/posts/popular?limit=1')).json(), [{ slug: 'post-1' }])
})

t.test('docs/metrics.md', async (t) => {
  const [own, openTelemetry] = programs('docs/metrics.md')
  const app = await createApp(t)
  const register = new Registry()
  await run(own?.code ?? '', { app, metrics, register })
  await app.popularPosts.get()
  t.match(await register.metrics(), 'popular_posts_loads_total{outcome="loaded"} 1')
  const names = { metrics: meters, watchWithOpenTelemetry }
  await run(`${openTelemetry?.code}\nstop()`, names)

  const [{ code: scrape = '' } = {}] = programs('docs/metrics.md', 'yaml')
  t.match(parse(scrape), { scrape_configs: [{ job_name: String, static_configs: [{ targets: [/:\d+$/] }] }] })
})

t.test('the list in docs/http.md has the fields of a list', async (t) => {
  const app = await createApp(t)
  const [post] = (await app.inject('/posts/popular?limit=1')).json() as PopularPost[]
  const [{ code: shown = '' } = {}] = programs('docs/http.md', 'json')
  const [example] = JSON.parse(shown) as PopularPost[]
  t.same(Object.keys(example ?? {}), Object.keys(post ?? {}))
})
