import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** What an act came to: a version, an error, or nothing in time. */
export interface Outcome {
  value?: string
  error?: string
}

/** A process of a fleet. */
export interface PeerProcess {
  get(key: string): Promise<Outcome>
  invalidate(key: string): Promise<Outcome>
}

/** Longer than any cache may take for its answer here; loads take less than half a second. */
const PATIENCE_MS = 5_000

/** Starts processes that have the same cache. */
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
    const ask = (act: string) => (key: string) =>
      new Promise<Outcome>((resolve) => {
        lastId += 1
        const id = lastId
        const timer = setTimeout(() => resolve({ error: 'no answer' }), PATIENCE_MS)
        const hear = (message: Outcome & { id: number }) => {
          if (message.id !== id) return
          clearTimeout(timer)
          child.off('message', hear)
          resolve(message)
        }
        child.on('message', hear)
        child.send({ id, act, key })
      })
    return { get: ask('get'), invalidate: ask('invalidate') }
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
