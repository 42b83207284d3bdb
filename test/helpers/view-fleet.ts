import { once } from 'node:events'
import { Agent, request } from 'node:http'
import type { PopularPostsOptions } from '../../index.ts'
import { runProgram, type Teardown } from './program.ts'
import { endWithUs, forgetPid } from './services/reaper.ts'

/** A second on a machine of one's own; many times that when all tests start processes at once. */
const BOOT_MS = 60_000
/** A frozen server is given up then, and another asked. */
const PATIENCE_MS = 1_000

export type ViewCounter = Awaited<ReturnType<typeof startViewCounter>>

/**
 * A process of a fleet that counts views; see `test/fixtures/view-counter.ts`. PostgreSQL knows it by `name`.
 * @param onEnd is told when it ends and has not been killed.
 * @param options.flushes it does nothing but flush.
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
  endWithUs(pid)
  let isKilled = false
  child.once('exit', (code, signal) => {
    forgetPid(pid)
    if (!isKilled) onEnd(`${name} ended by itself (${code ?? signal}): ${program.stderr()}`)
  })
  const [address = ''] = await program.says(/http:\S+/, BOOT_MS)
  const agent = new Agent({ keepAlive: true })
  return {
    name,
    flushes: options.flushes === true,
    /** Sends a view; answers the status, 0 when no answer came. */
    view(slug: string, { ip, userAgent }: { ip: string; userAgent: string }): Promise<number> {
      const headers = { 'x-forwarded-for': ip, 'user-agent': userAgent }
      return new Promise((resolve) => {
        const sent = request(
          `${address}/posts/${slug}/views`,
          { method: 'POST', agent, headers, timeout: PATIENCE_MS },
          (response) => {
            response.resume().once('close', () => resolve(response.complete ? (response.statusCode ?? 0) : 0))
          },
        )
        sent.on('timeout', () => sent.destroy())
        sent.on('error', () => resolve(0))
        sent.end()
      })
    },
    /** Sends a signal: SIGSTOP freezes it, SIGCONT wakes it up, SIGKILL ends it at once (and is waited for). */
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
