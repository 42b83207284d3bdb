/** The cache of a real browser, as that of a proxy in test/proxies. */
import t from 'tap'
import { httpGet } from '../helpers/http-get.ts'
import { startOrigin } from '../helpers/origin.ts'
import { until } from '../helpers/services/until.ts'
import { openBrowser, openPage } from './browser.ts'

const browser = await openBrowser(t)

t.test('a browser keeps an old list for maxAgeSeconds only, and verifies it with its ETag', async (t) => {
  const origin = await startOrigin(t, { maxAgeSeconds: 5 })
  const { page } = await openPage(t, browser)
  await page.goto(`${origin.address}/health/live`)
  await httpGet(`${origin.address}/posts/popular?days=1`)
  // Its max-age is greater by its age, which the browser subtracts.
  await new Promise((resolve) => setTimeout(resolve, 12_000))
  const get = () =>
    page.evaluate(async () => {
      const response = await fetch('/posts/popular?days=1')
      return { age: Number(response.headers.get('age')), control: response.headers.get('cache-control') }
    })
  origin.seen.length = 0
  const { age, control } = await get()
  t.ok(age >= 12, `Age: ${age}`)
  t.ok(Number(/max-age=(\d+)/.exec(String(control))?.[1]) >= 17, String(control))
  t.same(await get(), { age, control }, 'the second one is from its cache')
  t.equal(origin.seen.length, 1)
  // A browser that does not subtract the age would keep it for 17 s.
  await until(async () => (await get()) && origin.seen.some(({ status }) => status === 304), 'it is verified', 14_000)
  t.ok(origin.seen[1]?.ifNoneMatch)
})
