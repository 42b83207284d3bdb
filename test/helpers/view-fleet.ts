import { once } from 'node:events'
import { Agent, request } from 'node:http'
import type { PopularPostsOptions, PostViewsStats } from '../../index.ts'
import { runProgram, type Teardown } from './program.ts'
import { endAtExit, forgetPid } from './services/reaper.ts'

/** The timeout of a start, which takes a second on an idle machine, and many times that under all tests. */
const BOOT_MS = 60_000
/** The timeout of a request; the client then retries on another server. */
const REQUEST_TIMEOUT_MS = 1_000

export type ViewCounter = Awaited<ReturnType<typeof startViewCounter>>

/**
 * Starts a process that counts views; see `test/fixtures/view-counter.ts`. Its `application_name` is `name`.
 * @param onEnd called when the process ends without SIGKILL.
 * @param options.flushes whether the process only flushes.
 */
export async function startViewCounter(
  t: Teardown,
  name: string,
  onEnd: (sentence: string) => void,
  { databaseUrl, ...options }: PopularPostsOptions & { databaseUrl: string; flushes?: boolean },
) {
  const url = `${databaseUrl}?application_name=${name}`
  const program = runProgram(t, 'test/fixtures/view-counter.ts', {
    args: [JSON.stringify({ ...options, databaseUrl: url })],
    isCovered: false,
  })
  const { child } = program
  const pid = child.pid ?? 0
  endAtExit(pid)
  let isKilled = false
  child.once('exit', (code, signal) => {
    forgetPid(pid)
    if (!isKilled) onEnd(`${name} ended by itself (${code ?? signal}): ${program.stderr()}`)
  })
  const [address = ''] = await program.says(/http:\S+/, BOOT_MS)
  const agent = new Agent({ keepAlive: true })
  return {
    name,
    /** Where the process listens. */
    address,
    stats: async (): Promise<PostViewsStats> => (await (await fetch(`${address}/stats`)).json()) as PostViewsStats,
    flushes: options.flushes === true,
    /** Sends a view. Resolves to the status; 0 without a reply. */
    view(slug: string, { ip, userAgent }: { ip: string; userAgent: string }): Promise<number> {
      const headers = { 'x-forwarded-for': ip, 'user-agent': userAgent }
      return new Promise((resolve) => {
        const sent = request(
          `${address}/posts/${slug}/views`,
          { method: 'POST', agent, headers, timeout: REQUEST_TIMEOUT_MS },
          (response) => {
            response.resume().once('close', () => resolve(response.complete ? (response.statusCode ?? 0) : 0))
          },
        )
        sent.on('timeout', () => sent.destroy())
        sent.on('error', () => resolve(0))
        sent.end()
      })
    },
    /** Sends a signal: SIGSTOP freezes the process, SIGCONT continues it, SIGKILL ends it. Waits after SIGKILL. */
    async kill(signal: NodeJS.Signals): Promise<void> {
      if (child.exitCode !== null || child.signalCode !== null) return
      isKilled = signal === 'SIGKILL'
      child.kill(signal)
      if (signal !== 'SIGKILL') return
      await once(child, 'exit')
      agent.destroy()
    },
  }
}
