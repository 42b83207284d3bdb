import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { sendBursts } from './burst.ts'

export type ServerProcess = Awaited<ReturnType<typeof startServer>>

/** What a process has used so far, or uses now. */
interface Usage {
  /** Processor time, in microseconds. */
  cpuUs: number
  heapBytes: number
  residentBytes: number
}

/**
 * Starts a program that ends with {@link serve}.
 * @param nodeOptions more than those of this process.
 */
export async function startServer(file: URL, args: readonly string[], nodeOptions: readonly string[] = []) {
  const child = fork(fileURLToPath(file), args, {
    execArgv: [...process.execArgv, ...nodeOptions],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    async usage(): Promise<Usage> {
      child.send('usage')
      return ((await once(child, 'message')) as [Usage])[0]
    },
    async stop(): Promise<void> {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Tells who has started this process on which port it listens, and what it has used, whenever asked. */
export function serve(port: number): void {
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    const { heapUsed, rss } = process.memoryUsage()
    const usage: Usage = { cpuUs: user + system, heapBytes: heapUsed, residentBytes: rss }
    process.send?.(usage)
  })
  process.on('disconnect', () => process.exit())
  process.send?.(port)
}

/**
 * Microseconds of a server's processor time for a request.
 * @throws when it is answered with another status.
 */
export async function costUs(
  { port, usage }: ServerProcess,
  { request, requests, status = '200' }: { request: string; requests: number; status?: string },
): Promise<number> {
  const before = await usage()
  const answered = await sendBursts({ port, connections: 10, pipelined: 10, requests, request })
  if (answered !== status) throw new Error(`expected ${status}, got ${answered}`)
  return ((await usage()).cpuUs - before.cpuUs) / requests
}
