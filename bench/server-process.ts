import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { sendBursts } from './burst.ts'

export type ServerProcess = Awaited<ReturnType<typeof startServer>>

/** The processor time of a process since its start, and its memory now. */
interface Usage {
  /** Processor time, in microseconds. */
  cpuUs: number
  heapBytes: number
  residentBytes: number
}

/**
 * Starts a program that calls {@link serve}.
 * @param nodeOptions options of Node.js, in addition to those of this process.
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

/** Sends the port to the parent process, and replies to each of its messages with the resource usage. */
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
 * Microseconds of the server's processor time for one request.
 * @throws when the server replies with another status.
 */
export async function costUs(
  { port, usage }: ServerProcess,
  {
    request,
    requests,
    status = '200',
  }: { request: string | ((number: number) => string); requests: number; status?: string },
): Promise<number> {
  const before = await usage()
  const answered = await sendBursts({ port, connections: 10, pipelined: 10, requests, request })
  if (answered !== status) throw new Error(`expected ${status}, got ${answered}`)
  return ((await usage()).cpuUs - before.cpuUs) / requests
}
