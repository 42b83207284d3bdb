import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import { findChromium } from '../helpers/services/find-chromium.ts'

/** The default user agent of headless Chromium counts as a bot. */
export const USER_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Safari/537.36'
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** The part of a tap test that the helpers use. */
interface Scene {
  teardown(end: () => Promise<unknown>): unknown
  comment(text: string): unknown
}

export interface OpenPage {
  page: Page
  /** Errors of the page, blocked content, and console warnings. */
  complaints: string[]
  /** Requests that record views, by path. */
  beacons: string[]
}

/** Starts Chromium, which ends with the test. */
export async function openBrowser(t: Scene): Promise<Browser> {
  const { program, env } = await findChromium({ say: (text) => t.comment(text) })
  const browser = await chromium.launch({
    executablePath: program,
    env: { ...process.env, ...env },
    // Root has no sandbox.
    args: ['--no-sandbox'],
  })
  t.teardown(() => browser.close())
  return browser
}

/** Opens an empty page of a new visitor. */
export async function openPage(t: Scene, browser: Browser, options: BrowserContextOptions = {}): Promise<OpenPage> {
  const context = await browser.newContext({ userAgent: USER_AGENT, reducedMotion: 'reduce', ...options })
  t.teardown(() => context.close())
  const page = await context.newPage()
  const [complaints, beacons]: [string[], string[]] = [[], []]
  page.on('pageerror', ({ message }) => complaints.push(message))
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (request.method() === 'POST') beacons.push(new URL(request.url()).pathname)
  })
  return { page, complaints, beacons }
}

/** Makes a service listen on a free port. Resolves to its address. */
export async function listen(app: FastifyInstance): Promise<string> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`
}

/** The accessibility violations by the rules of axe. */
export async function stumblingBlocks(page: Page): Promise<string[]> {
  // The content security policy of the page would block a script element.
  await page.evaluate(AXE)
  return page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run(): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> }
    }
    const { violations } = await axe.run()
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`)
  })
}

/** The layout shift of the browser since the page began to load, without shifts after an input. */
export function layoutShift(page: Page): Promise<number> {
  return page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        let sum = 0
        const observer = new PerformanceObserver((list) => {
          for (const entry of list.getEntries()) sum += (entry as PerformanceEntry & { value: number }).value
        })
        observer.observe({ type: 'layout-shift', buffered: true })
        // The browser reports a paint two frames later.
        requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => resolve(sum))))
      }),
  )
}
