import { Readable } from 'node:stream'
import t from 'tap'
import { importLog } from '../../bin/import-log/import-log.ts'
import { compilePostPattern } from '../../bin/import-log/slug.ts'
import { logOf } from '../helpers/access-log.ts'
import { createTestDatabase } from '../helpers/postgres.ts'
import { until } from '../helpers/services/until.ts'
import { createSite, fillWithDemo } from '../helpers/site.ts'
import { layoutShift, listen, openBrowser, openPage, stumblingBlocks } from './browser.ts'

const browser = await openBrowser(t)
const { db, url } = await createTestDatabase(t)
await fillWithDemo(db)
const app = await createSite(t, { db, url })
const address = await listen(app)
const PHONE = { viewport: { width: 375, height: 740 }, isMobile: true, hasTouch: true }

for (const [name, options] of Object.entries({
  'by day': { colorScheme: 'light' as const },
  'by night, on a phone': { colorScheme: 'dark' as const, ...PHONE },
})) {
  t.test(`the pages ${name} have no accessibility violations`, async (t) => {
    const { page, complaints } = await openPage(t, browser, options)
    for (const path of ['/', '/posts/last-train-from-corrach']) {
      await page.goto(address + path)
      const list = page.getByRole('list', { name: 'Most read' })
      await list.getByRole('link').nth(4).waitFor()
      t.equal(await list.getByRole('listitem').count(), 5)
      await page.getByText(/^\d+ s$/).waitFor()
      t.same(await stumblingBlocks(page), [], `axe on ${path}`)
      t.ok((await layoutShift(page)) < 0.01, `nothing moves by itself on ${path}`)
      const [wanted, had] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth])
      t.ok(Number(wanted) <= Number(had), `${path}: ${wanted} px of ${had}`)
    }
    t.same(complaints, [])
  })
}

t.test('on a phone the list comes first, and the figures of the cache last', async (t) => {
  const { page } = await openPage(t, browser, PHONE)
  const topOf = async (selector: string) => Number((await page.locator(selector).first().boundingBox())?.y)
  for (const path of ['/', '/posts/last-train-from-corrach']) {
    await page.goto(address + path)
    const list = page.getByRole('list', { name: 'Most read' })
    await list.getByRole('link').nth(4).waitFor()
    const third = await list.getByRole('listitem').nth(2).boundingBox()
    t.ok(Number(third?.y) + Number(third?.height) < PHONE.viewport.height, `${path}: the first three without scrolling`)
    t.ok((await topOf('popular-posts')) < (await topOf('main')), path)
    t.ok((await topOf('main')) < (await topOf('.panel')), path)
  }
  const { page: wide } = await openPage(t, browser, { viewport: { width: 1200, height: 800 } })
  await wide.goto(address)
  const [main, panel] = [await wide.locator('main').boundingBox(), await wide.locator('.panel').boundingBox()]
  t.ok(Number(panel?.x) > Number(main?.x) + Number(main?.width) - 1, 'beside the posts')
  t.ok(Number(panel?.y) < 800, 'below the list, not below the posts')
})

t.test('a view is counted, and the ranking changes on an open page', async (t) => {
  const { page, complaints, beacons } = await openPage(t, browser)
  const slug = 'owls-do-not-care'
  const [before] = await app.popularPosts
    .get({ days: 1, limit: 50 })
    .then((posts) => posts.filter((post) => post.slug === slug))
  await page.goto(`${address}/posts/${slug}`)
  await until(() => beacons.includes(`/posts/${slug}/views`), 'the view is sent')
  await until(async () => {
    const [now] = (await app.popularPosts.get({ days: 1, limit: 50 })).filter((post) => post.slug === slug)
    return now?.views === Number(before?.views ?? 0) + 1
  }, 'the view is in the list')

  const [leader] = await app.popularPosts.get({ days: 1, limit: 1 })
  const list = page.getByRole('list', { name: 'Most read' })
  await page.getByRole('button', { name: 'Send in 25 more readers' }).click()
  await page.getByText('25 made-up readers were here.').waitFor()
  await list.getByRole('link', { name: 'Owls do not care about your podcast' }).waitFor()
  await page
    .getByRole('status')
    .filter({ hasText: /^No\. \d of the last 24 hours, up from / })
    .waitFor()
  t.match(await list.getByRole('listitem').first().textContent(), leader?.title)
  t.same(complaints, [])
})

t.test('a hundred requests for a cold list run one query', async (t) => {
  const { page, complaints } = await openPage(t, browser)
  await page.goto(address)
  await page.getByRole('list', { name: 'Most read' }).getByRole('link').first().waitFor()
  await page.getByRole('button', { name: 'Empty the cache' }).click()
  await page.getByText('Empty: the next request asks the database.').waitFor()
  const { hits } = app.popularPosts.stats()
  await page.getByRole('button', { name: 'Send 100 requests' }).click()
  await page.getByText('100 requests answered, by one query.').waitFor()
  t.ok(app.popularPosts.stats().hits >= hits + 90)
  await until(
    async () => Number(await page.locator('[data-requests]').textContent()) >= 100,
    'the last minute shows them',
  )
  t.match(await page.locator('path.queries').getAttribute('d'), /^M/, 'and the query')
  t.same(complaints, [])
})

t.test('every open page shows the age of the list in the cache', async (t) => {
  const [{ page }, { page: other }] = [await openPage(t, browser), await openPage(t, browser)]
  const ageOn = (one: typeof page) => one.locator('[data-number=age]').textContent()
  for (const one of [page, other]) {
    await one.goto(address)
    await one.getByText(/^\d+ s$/).waitFor()
  }
  await page.getByRole('button', { name: 'Empty the cache' }).click()
  await until(async () => (await ageOn(page)) === '–', 'there is no list')
  await until(async () => (await ageOn(other)) === '–', 'nor is there one for others')
  await page.getByRole('button', { name: 'Send 100 requests' }).click()
  await page.getByText('100 requests answered, by one query.').waitFor()
  for (const one of [page, other]) {
    await one.getByText(/^\d+ s$/).waitFor()
    const { headers } = await app.inject('/posts/popular?days=1')
    const [shown, real] = [Number.parseInt(String(await ageOn(one)), 10), Number(headers['age'])]
    t.ok(Math.abs(shown - real) <= 2, `${shown} s for ${real} s`)
  }
  // The browser has a list that was fresh when it arrived.
  await page.goto(address)
  await until(async () => {
    const { headers } = await app.inject('/posts/popular?days=1')
    return Math.abs(Number.parseInt(String(await ageOn(page)), 10) - Number(headers['age'])) <= 2
  }, 'the age is told by the server')
})

t.test('an unknown address returns a 404 page with links, also for hostile addresses', async (t) => {
  const { page } = await openPage(t, browser)
  const response = await page.goto(`${address}/<img src=x onerror="hacked=1">/%3Cscript%3E?<b>`)
  t.equal(response?.status(), 404)
  t.equal(await page.getByRole('heading', { name: 'No such page' }).count(), 1)
  t.equal(await page.locator('main img, main script, main b').count(), 0)
  t.same(await stumblingBlocks(page), [])
  await page.getByRole('link', { name: 'To the latest posts' }).click()
  await page.getByRole('list', { name: 'Most read' }).getByRole('link').first().waitFor()
})

for (const javaScriptEnabled of [true, false]) {
  t.test(
    `a blog of 2015 ${javaScriptEnabled ? 'with' : 'without'} scripts: its views are found, another window is a link`,
    async (t) => {
      const { db, url } = await createTestDatabase(t)
      await importLog({
        db,
        timeZone: 'UTC',
        dedupSeconds: 900,
        nowMs: Date.now(),
        createPosts: true,
        post: compilePostPattern('/blog/'),
        input: Readable.from([
          logOf(['/blog/old/', '/blog/older.html'].map((target, second) => ({ second, target }))),
          logOf([{ second: 2, visitor: 2, target: '/blog/old' }]),
        ]),
      })
      await db
        .insertInto('posts')
        .values({ slug: 'unread', title: 'Unread', url: '/blog/unread', published_at: new Date(0) })
        .execute()
      const old = await listen(await createSite(t, { db, url }))
      const { page, complaints } = await openPage(t, browser, { javaScriptEnabled, ...PHONE })
      await page.goto(old)
      const list = page.getByRole('list', { name: 'Most read' })
      const seen = (text: string) => page.getByText(text).filter({ visible: true }).waitFor()
      await page.getByText('Most read of all time').waitFor()
      await list.getByText('2 views').waitFor()
      t.same(await list.getByRole('listitem').allInnerTexts(), ['Old\n2 views', 'Older\n1 view'])
      await list.getByRole('link', { name: 'Old', exact: true }).click()
      await page.getByText('The post is at /blog/old/ on its blog.').waitFor()
      t.match(await page.locator('[data-place]').textContent(), 'No. 1 of all time')

      await page.getByRole('link', { name: '7 days' }).click()
      await seen('No post was read in the last 7 days.')
      t.equal(await list.getByRole('listitem').count(), 0)
      t.match(page.url(), /\/posts\/old\?days=7$/)
      await page.goto(`${old}/?days=365`)
      await seen('No post was read in the last 365 days.')
      t.equal(await page.getByRole('link', { name: '365 days' }).getAttribute('aria-current'), 'true')
      await page.getByRole('heading', { name: 'Older' }).getByRole('link').click()
      t.match(page.url(), /\/posts\/older\?days=365$/, 'the choice is kept')
      t.same(complaints, [])
      if (javaScriptEnabled) t.same(await stumblingBlocks(page), [])
    },
  )
}

t.test('all controls work with a keyboard, in order, and keep the focus', async (t) => {
  const { page } = await openPage(t, browser)
  await page.goto(address)
  await page.getByRole('list', { name: 'Most read' }).getByRole('link').first().waitFor()
  const focused = () =>
    page.evaluate(() => {
      const outer = document.activeElement
      return (outer?.shadowRoot?.activeElement ?? outer)?.textContent?.trim()
    })
  const order: unknown[] = []
  for (let step = 0; step < 60 && !order.includes('Health'); step += 1) {
    await page.keyboard.press('Tab')
    order.push(await focused())
  }
  const wanted = [
    'Skip to the posts',
    'The Long Way Round',
    await page.locator('popular-posts a').first().textContent(),
    await page.locator('h2 a').first().textContent(),
    'Older posts →',
    'Send 100 requests',
    'Empty the cache',
    'Health',
  ]
  let at = -1
  for (const name of wanted) {
    at = order.indexOf(name, at + 1)
    t.not(at, -1, `${name}, after what comes before it`)
  }
  const button = page.getByRole('button', { name: 'Empty the cache' })
  await button.focus()
  await page.keyboard.press('Enter')
  await page.getByText('Empty: the next request asks the database.').waitFor()
  t.equal(await focused(), 'Empty the cache')

  const link = page.locator('popular-posts a').first()
  await link.focus()
  const title = await focused()
  await page
    .locator('popular-posts')
    .evaluate((element) => (element as HTMLElement & { refresh(): Promise<void> }).refresh())
  t.equal(await focused(), title, 'the list is new, the focus where it was')
})

t.test('when the service stops, the page keeps its list and shows a message', async (t) => {
  const { page } = await openPage(t, browser)
  await page.goto(address)
  const list = page.getByRole('list', { name: 'Most read' })
  await list.getByRole('link').first().waitFor()
  await page.context().setOffline(true)
  await page.getByText('The service does not answer.').waitFor()
  await page.getByRole('button', { name: 'Send 100 requests' }).click()
  await until(
    async () => (await page.getByRole('button', { name: 'Send 100' }).getAttribute('aria-disabled')) === 'false',
    'the button is back',
  )
  t.equal(await list.getByRole('link').count(), 5)
  await page.context().setOffline(false)
  await until(async () => (await page.locator('.state').textContent()) === '', 'it answers again')
})
