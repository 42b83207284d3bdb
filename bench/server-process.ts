import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { sendBursts } from './burst.ts'

export type ServerProcess = Awaited<ReturnType<typeof startServer>>

/** Starts a program that ends with {@link serve}. */
export async function startServer(file: URL, args: readonly string[]) {
  const child = fork(fileURLToPath(file), args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const [port] = (await once(child, 'message')) as [number]
  return {
    port,
    /** The processor time that it has used, in microseconds. */
    async cpuUs(): Promise<number> {
      child.send('cpu')
      return ((await once(child, 'message')) as [number])[0]
    },
    async stop(): Promise<void> {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** Tells who has started this process on which port it listens, and what processor time it has used, whenever asked. */
export function serve(port: number): void {
  process.on('message', () => {
    const { user, system } = process.cpuUsage()
    process.send?.(user + system)
  })
  process.on('disconnect', () => process.exit())
  process.send?.(port)
}

/**
 * Microseconds of a server's processor time for a request.
 * @throws when it is answered with another status.
 */
export async function costUs(
  { port, cpuUs }: ServerProcess,
  { request, requests, status = '200' }: { request: string; requests: number; status?: string },
): Promise<number> {
  const before = await cpuUs()
  const answered = await sendBursts({ port, connections: 10, pipelined: 10, requests, request })
  if (answered !== status) throw new Error(`expected ${status}, got ${answered}`)
  return ((await cpuUs()) - before) / requests
}
