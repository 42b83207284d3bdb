// One process of a fleet: member.ts <contestant> <its Redis> <the Redis of the judge>. Told by messages what to do.
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { peers } from './peers.ts'

const [, , name = '', redisUrl = '', judgeUrl = ''] = process.argv
const judge = new Redis(judgeUrl)

/** The source: slow, counted, and of a version that is read when the load begins. */
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

// A cache that rejects where nobody listens would end a real process; here it would only hide what else it does.
process.on('unhandledRejection', () => {})
process.on('uncaughtException', () => {})

const cache = await peers[name]?.({ redisUrl, load, ttlSeconds: 2, staleSeconds: 600 })
if (cache === undefined) throw new Error(`expected one of ${Object.keys(peers)}, got ${name}`)

process.on('message', async ({ id, act, key }: { id: number; act: 'get' | 'invalidate'; key: string }) => {
  try {
    const value = await cache[act](key)
    process.send?.({ id, value: act === 'get' ? (value as { version: string }[])[0]?.version : undefined })
  } catch (error) {
    process.send?.({ id, error: String(error) })
  }
})
process.on('disconnect', () => process.exit())
await judge.ping()
process.send?.({ isReady: true })
