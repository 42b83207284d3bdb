import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { findChromium } from '../helpers/services/find-chromium.ts'
import { endAtExit, forgetPid } from '../helpers/services/reaper.ts'
import { until } from '../helpers/services/until.ts'
import { temporaryDirectory } from '../helpers/temporary-directory.ts'
import { USER_AGENT } from './browser.ts'

/** A page that the reader sees, and that waits for an order. */
interface SeenPage {
  /** Whether the browser has restored it from its back/forward cache. */
  isRestored: boolean
  /** Runs a script, after which the page is still there. */
  run(script: string): void
  /** Runs a script that opens another page. */
  leave(script: string): void
}

/**
 * A script for pages: a page that the reader sees asks the test what to do. Playwright cannot drive them, because there is
 * neither prerendering nor the back/forward cache where its developer tools are attached.
 */
export const DRIVER = `<link rel="icon" href="data:,"><script>
  async function drive(isRestored) {
    if (document.prerendering) return document.addEventListener('prerenderingchange', () => drive(false), { once: true })
    for (let order = { stays: true }; order.stays; isRestored = false) {
      const query = new URLSearchParams({ at: location.pathname, restored: isRestored })
      order = await (await fetch('/driver?' + query, { cache: 'no-store' })).json()
      // In the scope of the page.
      setTimeout(order.script)
    }
  }
  addEventListener('pageshow', ({ persisted }) => drive(persisted))
</script>`

/** Adds the route for {@link DRIVER} to an app. Returns a function that waits until the reader sees the page at a path. */
export function addDriver(app: FastifyInstance): (path: string) => Promise<SeenPage> {
  const waiting = new Map<string, { isRestored: boolean; reply: FastifyReply }>()
  app.get<{ Querystring: { at: string; restored: string } }>('/driver', (request, reply) => {
    const { at, restored } = request.query
    waiting.set(at, { isRestored: restored === 'true', reply })
  })
  return async (path) => {
    await until(() => waiting.has(path), `the reader sees ${path}`)
    const seen = waiting.get(path)
    waiting.delete(path)
    const order = (script: string, stays: boolean) => void seen?.reply.send({ script, stays })
    return {
      isRestored: seen?.isRestored === true,
      run: (script) => order(script, true),
      leave: (script) => order(script, false),
    }
  }
}

interface Scene {
  comment(text: string): unknown
  teardown(end: () => Promise<unknown>): unknown
}

/** Starts Chromium with one tab, without developer tools. It ends with the test. */
export async function startChromium(t: Scene, address: string): Promise<void> {
  const { program, env } = await findChromium({ say: (text) => t.comment(text) })
  const child = spawn(
    program,
    [
      // Root has no sandbox.
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--headless=new',
      // Without it the headless program ends.
      '--remote-debugging-port=0',
      `--user-data-dir=${await temporaryDirectory(t)}`,
      `--user-agent=${USER_AGENT}`,
      address,
    ],
    { env: { ...process.env, ...env }, stdio: 'ignore' },
  )
  const { pid = 0 } = child
  endAtExit(pid)
  t.teardown(async () => {
    forgetPid(pid)
    const ended = once(child, 'exit')
    child.kill()
    await ended
  })
}
