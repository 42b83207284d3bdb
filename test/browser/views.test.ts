import { readFileSync } from 'node:fs'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import popularPosts from '../../index.ts'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'
import { listen } from './browser.ts'
import { addDriver, DRIVER, startChromium } from './driven-tab.ts'

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), 'utf8')
const [, snippet = ''] = /```html\n(<script>[\s\S]+?<\/script>)\n```/.exec(read('docs/counting.md')) ?? []

/** The HTML of a page of a post that counts the view in one way. */
const WAYS = {
  snippet: (slug: string) =>
    snippet.replace('https://blog.example/posts/goat-has-my-map/views', `/posts/${slug}/views`),
  element: (slug: string) =>
    `<popular-posts record="${slug}"></popular-posts><script type="module" src="/popular-posts.js"></script>`,
  record: () => '',
  'record and snippet': (slug: string) => WAYS.snippet(slug),
  'record, which refuses prefetches': () => '',
} as const
type Way = keyof typeof WAYS

/** What loads a page ahead, in the page before it. */
const AHEAD = {
  nothing: () => '',
  prefetch: (path: string) =>
    `<script type="speculationrules">{"prefetch":[{"urls":["${path}"],"eagerness":"immediate"}]}</script>`,
  'a link of rel=prefetch': (path: string) => `<link rel="prefetch" href="${path}">`,
  prerender: (path: string) =>
    `<script type="speculationrules">{"prerender":[{"urls":["${path}"],"eagerness":"immediate"}]}</script>`,
} as const
type Ahead = keyof typeof AHEAD

/** A blog with a page before each post, and a page of the post that is counted in some way. */
async function createBlog(t: Test, viewDedupSeconds: number) {
  const { db, url: databaseUrl } = await createTestDatabase(t)
  await fillBlog(db, 50)
  const app = Fastify({ forceCloseConnections: true })
  t.teardown(() => app.close())
  await app.register(popularPosts, { databaseUrl, viewDedupSeconds, viewsPerMinute: 0 })
  const sees = addDriver(app)
  /** The requests for a path, and the beacons that count. */
  const requests: { path: string; isAhead: boolean }[] = []
  const requestsFor = (wanted: string) => requests.filter(({ path }) => path === wanted)
  app.addHook('onRequest', async ({ url, headers }) => {
    requests.push({ path: decodeURIComponent(url), isAhead: headers['sec-purpose'] !== undefined })
  })
  app.get('/popular-posts.js', async (_request, reply) =>
    reply.type('text/javascript').send(read('public/popular-posts.js')),
  )
  app.get('/start', async (_request, reply) => reply.type('text/html').send(DRIVER))
  app.get<{ Params: { ahead: Ahead; path: string } }>('/before/:ahead/:path', async (request, reply) => {
    const { ahead, path } = request.params
    return reply.type('text/html').send(`${DRIVER}${AHEAD[ahead](path)}<a href="${path}">Read it</a>`)
  })
  app.get<{ Params: { way: Way; slug: string } }>('/blog/:way/:slug', async (request, reply) => {
    const { way, slug } = request.params
    if (way.startsWith('record')) {
      const outcome = await app.postViews.record({ slug, request })
      if (way.endsWith('refuses prefetches') && outcome === 'prefetch') return reply.code(503).send()
    }
    reply.header('cache-control', 'max-age=60').type('text/html')
    return `<!doctype html>${DRIVER}${WAYS[way](slug)}<script>fetch('/ran/${slug}')</script>`
  })
  app.get('/ran/:slug', async () => '')
  const origin = await listen(app)
  await startChromium(t, `${origin}/start`)
  let number = 0
  return {
    sees,
    requestsFor,
    outcomes: () => {
      const { counted, repeat, prefetch } = app.postViews.stats()
      return { counted, repeat, prefetch }
    },
    /** The next post, and the paths of its page and of the page before it. */
    next(ahead: Ahead, way: Way) {
      number += 1
      const slug = `post-${number}`
      const path = encodeURI(`/blog/${way}/${slug}`)
      return { slug, path, before: `/before/${encodeURIComponent(ahead)}/${encodeURIComponent(path)}` }
    },
  }
}

/** Long enough for a beacon that should not be sent. */
const A_MOMENT = 'await new Promise((resolve) => setTimeout(resolve, 300))'

t.test('a reader counts once, and a page that nobody opens does not count', async (t) => {
  const { sees, next, outcomes, requestsFor } = await createBlog(t, 900)
  let at = '/start'
  for (const way of Object.keys(WAYS) as Way[]) {
    for (const ahead of Object.keys(AHEAD) as Ahead[]) {
      const { slug, path, before } = next(ahead, way)
      const name = `${way}, ${ahead}`
      const was = outcomes()
      const counted = () => outcomes().counted - was.counted
      const isRefusing = way.endsWith('refuses prefetches')
      ;(await sees(at)).leave(`location.href = '${before}'`)
      const start = await sees(before)
      if (ahead !== 'nothing') {
        await until(() => requestsFor(decodeURIComponent(path)).length === 1, `${name}: it is requested`)
        if (ahead === 'prerender' && !isRefusing)
          await until(() => requestsFor(`/ran/${slug}`).length === 1, `${name}: its scripts have run`)
        t.equal(requestsFor(decodeURIComponent(path))[0]?.isAhead, true, `${name}: ahead`)
      }
      // A page that loads something else: what would have been sent has been sent.
      start.run(`setTimeout(() => fetch('/ran/hover-${slug}'), 300)`)
      await until(() => requestsFor(`/ran/hover-${slug}`).length === 1, `${name}: the reader waits`)
      t.equal(counted(), 0, `${name}: nothing is counted before the reader opens the page`)

      ;(await sees(before)).leave(`document.querySelector('a').click()`)
      const page = await sees(path)
      page.run(`(async () => { ${A_MOMENT}; fetch('/ran/end-${slug}') })()`)
      await until(() => requestsFor(`/ran/end-${slug}`).length === 1, `${name}: the reader reads`)
      const isLost = way === 'record' && ahead !== 'nothing'
      await until(() => counted() === (isLost ? 0 : 1), `${name}: the reader is counted, not ${counted()}`, 10_000)
      const repeats = way === 'record and snippet' && ahead === 'nothing' ? 1 : 0
      t.equal(outcomes().repeat - was.repeat, repeats, `${name}: one view is sent`)
      const sent = requestsFor(decodeURIComponent(path)).length
      t.equal(sent, isRefusing && ahead !== 'nothing' ? 2 : 1, `${name}: the browser has used what it had`)
      at = path
    }
  }
})

t.test('a page that returns from the back/forward cache counts again after viewDedupSeconds', async (t) => {
  for (const [dedupSeconds, counts] of [
    [1, 2],
    [900, 1],
  ] as const) {
    const { sees, next, outcomes } = await createBlog(t, dedupSeconds)
    let at = '/start'
    for (const way of ['snippet', 'element', 'record and snippet'] as const) {
      const was = outcomes()
      const { path } = next('nothing', way)
      const views = () => {
        const { counted, repeat } = outcomes()
        return counted + repeat - was.counted - was.repeat
      }
      const sent = way === 'record and snippet' ? 2 : 1
      ;(await sees(at)).leave(`location.href = '${path}'`)
      const page = await sees(path)
      await until(() => views() === sent, `${way}: the first view`)
      page.leave(`location.href = '/start'`)
      const other = await sees('/start')
      other.leave(`setTimeout(() => history.back(), 1500)`)
      const back = await sees(path)
      let expected = counts
      if (back.isRestored) back.run('')
      else {
        t.comment('This Chromium has no back/forward cache: the page is loaded again, and the event dispatched.')
        await until(() => views() === sent + 1, `${way}: it is loaded again`)
        if (dedupSeconds === 1) expected += 1
        back.run(`setTimeout(() => dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true })), 1500)`)
      }
      const again = back.isRestored ? 1 : 2
      await until(() => views() === sent + again, `${way}: the page sends its view again`)
      t.equal(outcomes().counted - was.counted, expected, `${way}, window of ${dedupSeconds} s`)
      at = path
    }
  }
})
