import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** The outcome of an operation: a version or an error. */
export interface Outcome {
  value?: string
  error?: string
}

/** A process of a fleet that has a cache. */
export interface PeerProcess {
  get(key: string): Promise<Outcome>
  invalidate(key: string): Promise<Outcome>
}

/** The timeout of an operation. Loads take less than half a second. */
const TIMEOUT_MS = 5_000

/** Starts processes with the same cache. */
export async function startPeerFleet(size: number, name: string, redisUrl: string, judgeUrl: string) {
  const children = await Promise.all(
    Array.from({ length: size }, async () => {
      const child = fork(fileURLToPath(new URL('member.ts', import.meta.url)), [name, redisUrl, judgeUrl], {
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      })
      child.setMaxListeners(0)
      await once(child, 'message')
      return child
    }),
  )
  let lastId = 0
  const members = children.map((child): PeerProcess => {
    const send = (operation: string) => (key: string) =>
      new Promise<Outcome>((resolve) => {
        lastId += 1
        const id = lastId
        const timer = setTimeout(() => resolve({ error: 'no answer' }), TIMEOUT_MS)
        const onMessage = (message: Outcome & { id: number }) => {
          if (message.id !== id) return
          clearTimeout(timer)
          child.off('message', onMessage)
          resolve(message)
        }
        child.on('message', onMessage)
        child.send({ id, operation, key })
      })
    return { get: send('get'), invalidate: send('invalidate') }
  })
  return {
    members,
    async stop() {
      await Promise.all(
        children.map(async (child) => {
          const ended = once(child, 'exit')
          child.kill('SIGKILL')
          await ended
        }),
      )
    },
  }
}
