import { createHash } from 'node:crypto'
import Fastify from 'fastify'
import type { BrowserContextOptions, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { fillBlog } from '../helpers/blog.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'
import { createSite } from '../helpers/site.ts'
import { layoutShift, listen, openBrowser, openPage, stumblingBlocks } from './browser.ts'

const browser = await openBrowser(t)
const { db, url } = await createTestDatabase(t)
await fillBlog(db, 6)
await db
  .insertInto('posts')
  .values([
    { slug: 'script', title: '<img src=x onerror="hacked=1">', url: 'javascript:hacked=1', published_at: new Date(9) },
    {
      slug: 'quote',
      title: '"><script>hacked=1</script>',
      url: '/posts/"onclick="hacked=1',
      published_at: new Date(8),
    },
    { slug: 'broken', title: 'Broken', url: 'http://[', published_at: new Date(7) },
  ])
  .execute()
const app = await createSite(t, { db, url })
const address = await listen(app)

interface HostPage extends BrowserContextOptions {
  /** The HTML of the host's page. */
  body: string
  /** The origin of the page. Default: that of the service. */
  origin?: string
  script?: string
  /** Runs before the scripts of the page. It is text, because the loader of the tests changes functions. */
  before?: string
  css?: string
}

const htmlOf = ({ body, script, css = '' }: HostPage) => `<!doctype html>
  <html lang="en"><title>Host</title><link rel="icon" href="data:,"><style>${css}</style>
  ${script ?? '<script type="module" src="/popular-posts.js"></script>'}<main><h1>Host</h1>${body}</main>`

/** Opens a page of a host with the element. */
async function hostPage(t: Test, host: HostPage) {
  const { origin = address, before, ...options } = host
  const opened = await openPage(t, browser, options)
  const { page } = opened
  if (before !== undefined) await page.addInitScript({ content: before })
  if (origin === address)
    await page.route(`${address}/host`, (route) =>
      route.fulfill({ contentType: 'text/html; charset=utf-8', body: htmlOf(host) }),
    )
  await page.goto(`${origin}/host`)
  return { ...opened, titles: () => titlesOn(page) }
}

const titlesOn = (page: Page) => page.locator('popular-posts [part~=title]').allTextContents()

t.test('attributes select the list, and the list has an accessible name', async (t) => {
  const { page, complaints, titles } = await hostPage(t, {
    body: '<popular-posts days="7" limit="3" sort="views" category="odd" exclude="post-1  post-99" label="Odd ones"></popular-posts>',
  })
  const list = page.getByRole('list', { name: 'Odd ones' })
  await list.getByRole('link').nth(1).waitFor()
  t.same(await titles(), ['Post 3', 'Post 5'])
  t.equal(await list.getByRole('listitem').count(), 2)
  t.equal(await list.getByRole('link').first().getAttribute('href'), `${address}/posts/post-3`)
  t.equal(await list.getAttribute('aria-busy'), 'false')

  await page.locator('popular-posts').evaluate((element) => {
    for (const name of ['category', 'exclude', 'label']) element.removeAttribute(name)
    element.setAttribute('views', '')
    element.setAttribute('text-views', 'Leser')
  })
  await page.getByRole('list', { name: 'Popular posts' }).getByText('999 Leser').waitFor()
  t.same(await titles(), ['Post 1', 'Post 2', 'Post 3'])
  await page.locator('popular-posts').evaluate((element) => element.setAttribute('category', 'nothing'))
  await page.getByRole('status').getByText('Nothing here yet.').waitFor()
  t.same(complaints, [])
})

/** Makes requests for lists return these posts, or an error without posts. */
async function withPosts(page: Page, posts: { title: string; views?: number; url?: string }[] | undefined) {
  await page.route('**/posts/popular*', async (route) => {
    await page.evaluate('go').catch(() => undefined)
    if (posts === undefined) return route.abort()
    return route.fulfill({ json: posts.map((post, index) => ({ slug: `s-${index}`, url: '/x', views: 9, ...post })) })
  })
}
const WHEN_TOLD = 'window.go = new Promise((resolve) => addEventListener("go", resolve))'
const LONG = 'A title that goes on for '.repeat(12)

/** The height and the content of the element. */
const heights = (page: Page) =>
  page.locator('popular-posts').evaluate((element) => {
    const [rows, status] = ['li', 'p'].map((name) =>
      [...(element.shadowRoot?.querySelectorAll(name) ?? [])].map((part) => part.getBoundingClientRect().height),
    )
    return { all: element.getBoundingClientRect().height, rows: rows ?? [], status: status?.[0] }
  })
const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0)

t.test(
  'a list is as high as its posts: short titles take one line, long ones two, nothing is pushed down',
  async (t) => {
    const { page } = await openPage(t, browser, { viewport: { width: 400, height: 900 } })
    await page.addInitScript({ content: WHEN_TOLD })
    await withPosts(page, [{ title: 'Short' }, { title: LONG }, { title: 'Shorter' }])
    const body = '<popular-posts limit="5" views></popular-posts><p id="below">Below</p>'
    await page.route(`${address}/host`, (route) =>
      route.fulfill({ contentType: 'text/html', body: htmlOf({ body, css: 'body { line-height: 3 }' }) }),
    )
    await page.goto(`${address}/host`)
    await page.locator('[part~=skeleton]').nth(4).waitFor()
    const loading = await heights(page)
    t.equal(new Set(loading.rows).size, 1)
    await page.evaluate(() => dispatchEvent(new Event('go')))
    await page.getByText('Shorter').waitFor()
    const { all, rows } = await heights(page)
    t.equal(rows.length, 3)
    t.equal(rows[0], rows[2])
    t.ok(Number(rows[0]) < Number(rows[1]), `${rows}`)
    t.ok(Math.abs(Number(rows[1]) - Number(loading.rows[0])) < 1, 'there was room for two lines')
    t.ok(Math.abs(all - sum(rows)) < 1, `nothing is reserved below: ${all} for ${rows}`)
  },
)

t.test('the layout does not shift when every title has one line', async (t) => {
  const { page } = await openPage(t, browser)
  await page.addInitScript({ content: WHEN_TOLD })
  await withPosts(page, [{ title: 'Short' }, { title: LONG }])
  const body = '<popular-posts limit="2" views></popular-posts><p id="below">Below</p>'
  // As in docs/element.md.
  const css = `popular-posts { --popular-posts-lines: 1 }
    popular-posts:not(:defined) { display: block; min-block-size: calc(2 * (2.6em + 1.19em + 1px)) }`
  await page.route(`${address}/host`, (route) =>
    route.fulfill({ contentType: 'text/html', body: htmlOf({ body, css }) }),
  )
  await page.goto(`${address}/host`)
  await page.locator('[part~=skeleton]').first().waitFor()
  t.equal(await page.getByRole('list').getAttribute('aria-busy'), 'true')
  await page.evaluate(() => dispatchEvent(new Event('go')))
  await page.getByText('Short').waitFor()
  t.equal(await layoutShift(page), 0)
})

t.test('an empty list and a failed list have the height of a sentence', async (t) => {
  for (const [posts, sentence] of [
    [[], 'Nothing here yet.'],
    [[{ title: 'Unread', views: 0 }], 'Nothing here yet.'],
    [undefined, 'The popular posts cannot be loaded right now.'],
  ] as const) {
    const { page } = await openPage(t, browser)
    await withPosts(page, posts === undefined ? undefined : [...posts])
    await page.route(`${address}/host`, (route) =>
      route.fulfill({
        contentType: 'text/html',
        body: htmlOf({ body: '<popular-posts limit="9" views></popular-posts>' }),
      }),
    )
    await page.goto(`${address}/host`)
    await page.getByText(sentence).waitFor()
    const { all, rows, status } = await heights(page)
    t.same([rows.length, all], [0, status], sentence)
  }
})

t.test(
  'with `views` counts are singular or plural, posts without views are left out, and a page may set the text',
  async (t) => {
    const { page, titles } = await hostPage(t, { body: '<popular-posts></popular-posts>' })
    await withPosts(page, [
      { title: 'Many', views: 1_234 },
      { title: 'Two', views: 2 },
      { title: 'One', views: 1 },
      { title: 'None', views: 0 },
    ])
    const set = (attributes: Record<string, string>) =>
      page.locator('popular-posts').evaluate((element, all) => {
        for (const [name, value] of Object.entries(all)) element.setAttribute(name, value)
      }, attributes)
    const views = () => page.locator('[part~=views]').allTextContents()
    await set({ days: '9' })
    await page.getByText('None').waitFor()
    t.same(await titles(), ['Many', 'Two', 'One', 'None'], 'without `views` the list is as the service has it')
    await set({ views: '' })
    await page.getByText('1 view', { exact: true }).waitFor()
    t.same(await titles(), ['Many', 'Two', 'One'])
    t.same(await views(), ['1,234 views', '2 views', '1 view'])
    await set({ 'text-views': 'Leser' })
    await page.getByText('1 Leser', { exact: true }).waitFor()
    await set({ 'text-views': 'Aufrufe', 'text-view': 'Aufruf' })
    await page.getByText('1 Aufruf', { exact: true }).waitFor()
    t.same(await views(), ['1,234 Aufrufe', '2 Aufrufe', '1 Aufruf'])
  },
)

t.test('on a page of another site, `link` resolves posts with only a path', async (t) => {
  const { page } = await hostPage(t, { body: '<popular-posts></popular-posts>' })
  await withPosts(page, [
    { title: 'Path', url: '/blog/a' },
    { title: 'Whole', url: 'https://blog.example/b' },
    { title: 'Script', url: 'javascript:hacked=1' },
  ])
  await page
    .locator('popular-posts')
    .evaluate((element) => element.setAttribute('link', 'https://other.example/p/{slug}?x'))
  await page.getByRole('link', { name: 'Script', exact: true }).waitFor()
  const links = await page.locator('popular-posts a').evaluateAll((all) => all.map((link) => link.getAttribute('href')))
  t.same(links, ['https://other.example/p/s-0?x', 'https://blog.example/b', 'https://other.example/p/s-2?x'])
})

t.test('server-rendered content stays until the service replies, and when it does not', async (t) => {
  const body = `<popular-posts limit="5" views text-empty="Nothing at all.">
    <ol><li><a href="/written">Written</a> <small>3 views</small></li></ol></popular-posts>`
  const before = `
    const ask = window.fetch
    window.fetch = (...args) => new Promise((resolve) => addEventListener('go', () => resolve(ask(...args))))`
  const { page, titles } = await hostPage(t, { body, before })
  const link = page.getByRole('link', { name: 'Written' })
  await page.getByText('3 views').waitFor()
  t.equal(await link.getAttribute('href'), '/written')
  t.equal(await page.locator('[part~=skeleton]').count(), 0)
  await page.evaluate(() => dispatchEvent(new Event('go')))
  await page.getByText('Post 5').waitFor()
  t.equal((await titles()).length, 5)
  t.equal(await link.count(), 0, 'it is hidden')

  const failing = await hostPage(t, { body, before: 'window.fetch = () => Promise.reject(new TypeError("offline"))' })
  await failing.page.getByText('this is the list as it last was').waitFor()
  t.equal(await failing.page.getByRole('link', { name: 'Written' }).count(), 1)
  t.same(await failing.titles(), [])
  const scriptless = await hostPage(t, { body, javaScriptEnabled: false })
  t.equal(await scriptless.page.getByRole('link', { name: 'Written' }).count(), 1)
})

t.test('titles are inserted as text, and links only with safe addresses', async (t) => {
  const { page, titles, complaints } = await hostPage(t, {
    body: '<popular-posts days="0" limit="50"></popular-posts>',
  })
  await page.getByText('onerror').waitFor()
  t.same((await titles()).slice(-3), ['<img src=x onerror="hacked=1">', '"><script>hacked=1</script>', 'Broken'])
  const links = await page
    .locator('popular-posts a')
    .evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href))
  t.equal(links.length, 7, 'two are no links')
  for (const link of links) t.match(link, /^http:\/\/127\.0\.0\.1:\d+\/posts\/[^"]+$/)
  for (const name of await page.getByRole('listitem').all()) await name.click({ position: { x: 2, y: 2 } })
  t.equal(await page.evaluate(() => 'hacked' in window), false)
  t.same(complaints, [])
})

t.test('of two requested lists the last is shown, in any order of the replies', async (t) => {
  const { page, titles } = await hostPage(t, {
    body: '<popular-posts limit="1"></popular-posts>',
    // The first reply is slow, and arrives although no code waits for it.
    before: `
      const ask = window.fetch
      window.fetch = (input, init) => {
        const isFirst = String(input).includes('limit=1')
        const asked = ask(input, isFirst ? {} : init)
        return isFirst ? new Promise((resolve) => addEventListener('go', () => resolve(asked))) : asked
      }`,
  })
  await page.locator('popular-posts').evaluate((element) => element.setAttribute('limit', '2'))
  await page.getByRole('link', { name: 'Post 2' }).waitFor()
  await page.evaluate(() => dispatchEvent(new Event('go')))
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)))
  t.same(await titles(), ['Post 1', 'Post 2'])
})

t.test('without a reply the list of the last visit is shown, and without that a sentence', async (t) => {
  const { page, titles } = await hostPage(t, { body: '<popular-posts limit="2"></popular-posts>' })
  await page.getByRole('link', { name: 'Post 2' }).waitFor()
  let isDown = true
  await page.route('**/posts/popular*', (route) => (isDown ? route.abort() : route.continue()))
  await page.reload()
  await page.getByRole('status').getByText('this is the list as it last was').waitFor()
  t.same(await titles(), ['Post 1', 'Post 2'])

  await page.locator('popular-posts').evaluate((element) => element.setAttribute('text-failed', 'Leider nein.'))
  await page.locator('popular-posts').evaluate((element) => element.setAttribute('days', '3'))
  await page.getByRole('status').getByText('Leider nein.').waitFor()
  t.same(await titles(), [])
  t.same(await stumblingBlocks(page), [])
  isDown = false
  await page.evaluate(() => dispatchEvent(new Event('online')))
  await page.getByRole('link', { name: 'Post 2' }).waitFor()
  t.equal(await page.getByRole('status').textContent(), '')
})

t.test('without storage the element works', async (t) => {
  const { page, complaints } = await hostPage(t, {
    body: '<popular-posts limit="2"></popular-posts><popular-posts src="/nowhere"></popular-posts>',
    before: `Object.defineProperty(window, 'localStorage', { get() { throw new Error('forbidden') } })`,
  })
  await page.getByRole('link', { name: 'Post 2' }).waitFor()
  await page.getByText('The popular posts cannot be loaded right now.').waitFor()
  t.match(complaints, [/404/], 'the browser’s own line')
})

t.test('a view is recorded once, when the page is visible', async (t) => {
  const { page, beacons } = await hostPage(t, {
    body: '<popular-posts limit="1" record="post-2"></popular-posts>',
    before: `
      let [visibility, prerendering] = ['visible', true]
      Object.defineProperty(document, 'visibilityState', { get: () => visibility })
      Object.defineProperty(document, 'prerendering', { get: () => prerendering })
      addEventListener('activate', () => {
        [visibility, prerendering] = ['hidden', false]
        document.dispatchEvent(new Event('prerenderingchange'))
      })
      addEventListener('show', () => {
        visibility = 'visible'
        document.dispatchEvent(new Event('visibilitychange'))
      })`,
  })
  await page.getByRole('link', { name: 'Post 1' }).waitFor()
  const tell = async (name: string) => {
    const after = page.waitForRequest(/after/)
    await page.evaluate((type) => {
      dispatchEvent(new Event(type))
      // It is reported after all earlier requests.
      void fetch('/health/live?after')
    }, name)
    await after
  }
  await tell('nothing')
  t.same(beacons, [], 'not while it is prerendered')
  await tell('activate')
  t.same(beacons, [], 'not in the background')
  await tell('show')
  await tell('show')
  await page.locator('popular-posts').evaluate((element) => element.setAttribute('record', 'post 3/é'))
  await until(() => beacons.length === 2, 'two posts were seen')
  t.same(beacons, ['/posts/post-2/views', '/posts/post%203%2F%C3%A9/views'])
  await until(() => app.postViews.stats().counted === 1, 'one of them is a post')
})

t.test('on a page of another origin the script has a hash, and a view needs no preflight', async (t) => {
  const { path, integrity } = await fetch(address)
    .then((response) => response.text())
    .then((text) => /src="(?<path>\/popular-posts\.[^"]+)" integrity="(?<integrity>[^"]+)"/.exec(text)?.groups ?? {})
  const host = Fastify()
  t.teardown(() => host.close())
  let body = ''
  host.get('/host', async (_request, reply) => reply.type('text/html').send(body))
  const origin = await listen(host)
  const open = await createSite(t, { db, url, variables: { CORS_ORIGIN: origin } })
  const openAddress = await listen(open)
  const openHost = async (service: string) => {
    const onAnother = {
      script: `<script type="module" src="${service}${path}" integrity="${integrity}" crossorigin></script>`,
      body: `<popular-posts src="${service}/posts/popular" limit="2" record="post-4"></popular-posts>`,
      before: `addEventListener('popular-posts', ({ detail }) => { window.age = detail.ageSeconds })`,
    }
    body = htmlOf(onAnother)
    return hostPage(t, { ...onAnother, origin })
  }
  const allowed = await openHost(openAddress)
  await allowed.page.getByRole('link', { name: 'Post 2' }).waitFor()
  t.equal(await allowed.page.evaluate('typeof window.age'), 'number')
  t.same(allowed.complaints, [])
  t.same(allowed.beacons, ['/posts/post-4/views'])

  const refused = await openHost(address)
  await refused.page.getByText('The popular posts cannot be loaded right now.').waitFor()
  t.match(refused.complaints, [/CORS/], 'without CORS_ORIGIN: the browser’s own line')
  await until(() => refused.beacons.length > 0, 'the view is sent all the same')
  await until(() => app.postViews.stats().counted === 2, 'and counted')

  const wrong = await hostPage(t, {
    script: `<script type="module" src="${path}" integrity="sha384-${createHash('sha384').digest('base64')}"></script>`,
    body: '<popular-posts></popular-posts>',
  })
  t.match(wrong.complaints, [/integrity/], 'another script does not run')
})

t.test('a host can style the parts, and colours come from the page', async (t) => {
  for (const [colorScheme, colour] of [
    ['light', 'rgb(0, 0, 0)'],
    ['dark', 'rgb(255, 255, 255)'],
  ] as const) {
    const { page } = await hostPage(t, {
      colorScheme,
      css: ':root { color-scheme: light dark } popular-posts::part(views) { letter-spacing: 2px } popular-posts { --popular-posts-rank-color: rgb(1, 2, 3) }',
      body: '<popular-posts limit="3" views></popular-posts>',
    })
    const link = page.getByRole('link', { name: 'Post 1' })
    await link.waitFor()
    t.equal(await link.evaluate((element) => getComputedStyle(element).color), colour)
    t.equal(
      await page
        .locator('[part~=views]')
        .first()
        .evaluate((element) => getComputedStyle(element).letterSpacing),
      '2px',
    )
    const rank = page.getByRole('listitem').first()
    t.equal(await rank.evaluate((element) => getComputedStyle(element, '::before').color), 'rgb(1, 2, 3)')
    t.same(await stumblingBlocks(page), [], colorScheme)
  }
})

t.test('a change of rank is animated, except with reduced motion', async (t) => {
  for (const reducedMotion of ['reduce', 'no-preference'] as const) {
    const { page } = await hostPage(t, { reducedMotion, body: '<popular-posts limit="2"></popular-posts>' })
    await page.getByRole('link', { name: 'Post 2' }).waitFor()
    await page.route('**/posts/popular*', async (route) => {
      const response = await route.fetch()
      await route.fulfill({ response, json: (await response.json()).reverse() })
    })
    const moving = await page.locator('popular-posts').evaluate(async (element) => {
      await (element as HTMLElement & { refresh(): Promise<void> }).refresh()
      return [...(element.shadowRoot?.querySelectorAll('li') ?? [])].flatMap((row) => row.getAnimations()).length
    })
    t.equal(moving, reducedMotion === 'reduce' ? 0 : 2)
    t.equal(await page.locator('[part~=up]').textContent(), 'Post 2')
    t.equal(await page.locator('[part~=down]').textContent(), 'Post 1')
  }
})
