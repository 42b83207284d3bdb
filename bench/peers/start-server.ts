import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export type Server = Awaited<ReturnType<typeof startServer>>

/** Starts `server.ts` in a process of its own. */
export async function startServer(name: string, redisUrl: string, judgeUrl: string, ttlSeconds: number) {
  const child = fork(
    fileURLToPath(new URL('server.ts', import.meta.url)),
    [name, redisUrl, judgeUrl, String(ttlSeconds)],
    { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] },
  )
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

/** The list as a request, of another window for each number. */
export const listRequest = (days: number) => `GET /posts/popular?limit=10&days=${days} HTTP/1.1\r\nhost: blog\r\n\r\n`
