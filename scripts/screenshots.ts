// Creates the screenshots of the README: `npm run screenshots`.
import { fileURLToPath } from 'node:url'
import type { BrowserContextOptions } from 'playwright-core'
import { migrateToLatest } from '../db/migrate.ts'
import { openDatabase } from '../db/open-database.ts'
import { listen, openBrowser, openPage } from '../test/browser/browser.ts'
import { startPostgres } from '../test/helpers/private-postgres.ts'
import { createSite, fillWithDemo } from '../test/helpers/site.ts'

const folder = fileURLToPath(new URL('../docs/images', import.meta.url))
/** The traffic in the charts, in requests a second. */
const TRAFFIC = [12, 30, 18, 44, 60, 25, 38, 80, 52, 34, 66, 90, 48, 30, 72, 41, 55, 23, 37, 61, 49, 28, 45, 33]
const DESKTOP = { viewport: { width: 1080, height: 825 } }
/** The pages. A screenshot begins at the top of the page, or at the top of `part`. */
const PICTURES: Record<string, BrowserContextOptions & { path: string; part?: string }> = {
  desktop: { path: '/', ...DESKTOP },
  dark: { path: '/posts/last-train-from-corrach', colorScheme: 'dark', ...DESKTOP },
  phone: {
    path: '/',
    part: '[aria-label="What is read"]',
    viewport: { width: 390, height: 780 },
    deviceScaleFactor: 1.5,
    isMobile: true,
  },
}

const ends: (() => Promise<unknown>)[] = []
const t = {
  teardown: (end: () => Promise<unknown>) => ends.unshift(end),
  comment: (text: string) => process.stdout.write(`${text}\n`),
}
const server = await startPostgres()
t.teardown(() => server.remove())
const db = openDatabase(server.url, () => {})
t.teardown(() => db.destroy())
await migrateToLatest(db)
await fillWithDemo(db)
const app = await createSite(t, { db, url: server.url })
const address = await listen(app)
const browser = await openBrowser(t)

t.comment(`Sending ${TRAFFIC.length} s of traffic`)
for (const [second, requests] of TRAFFIC.entries()) {
  if (second % 10 === 4) await app.popularPosts.invalidate('hard')
  await Promise.all(Array.from({ length: requests }, () => fetch(`${address}/posts/popular?days=1`)))
  await new Promise((resolve) => setTimeout(resolve, 1_000))
}
for (const [name, { path, part = 'body', ...options }] of Object.entries(PICTURES)) {
  const { page } = await openPage(t, browser, options)
  await page.goto(address + path)
  await page.locator('popular-posts [part~=link]').nth(4).waitFor()
  await page.locator('path.queries[d^=M]').waitFor({ state: 'attached' })
  await page.getByText(/^\d+ s$/).waitFor()
  await page.locator(part).evaluate((element) => scrollTo(0, element.getBoundingClientRect().top - 16))
  await page.screenshot({ path: `${folder}/${name}.jpg`, quality: 75, animations: 'disabled' })
  t.comment(`docs/images/${name}.jpg`)
}
for (const end of ends) await end()
