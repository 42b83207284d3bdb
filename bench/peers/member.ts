// One process of a fleet: member.ts <cache> <its Redis> <the Redis of the judge>. It runs the operations that it
// receives as messages.
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { peers } from './peers.ts'

const [, , name = '', redisUrl = '', judgeUrl = ''] = process.argv
const judge = new Redis(judgeUrl)

/** The source: slow, with a counter of its loads. It reads the version when the load begins. */
async function load(key: string): Promise<{ version: string }[]> {
  const [, , isBroken, version] = await Promise.all([
    judge.incr(`loads:${key}`),
    judge.incr('loads'),
    judge.get('broken'),
    judge.get('version'),
  ])
  await sleep(Number(await judge.get('delayMs')))
  if (isBroken === 'yes') throw new Error('the source is broken')
  return [{ version: String(version) }]
}

// An unhandled rejection of a cache would end a real process. Here the process continues, to test the other promises.
process.on('unhandledRejection', () => {})
process.on('uncaughtException', () => {})

const cache = await peers[name]?.({ redisUrl, load, ttlSeconds: 2, staleSeconds: 600 })
if (cache === undefined) throw new Error(`expected one of ${Object.keys(peers)}, got ${name}`)

process.on('message', async ({ id, operation, key }: { id: number; operation: 'get' | 'invalidate'; key: string }) => {
  try {
    const value = await cache[operation](key)
    process.send?.({ id, value: operation === 'get' ? (value as { version: string }[])[0]?.version : undefined })
  } catch (error) {
    process.send?.({ id, error: String(error) })
  }
})
process.on('disconnect', () => process.exit())
await judge.ping()
process.send?.({ isReady: true })
