import type { CacheEvent } from '../cache/events.ts'
import type { Clock } from '../lib/clock.ts'
import { createRunner, defineScript, type RedisClient } from '../lib/redis-scripts-runner.ts'

/** How often Redis is asked. */
const ASK_MS = 60_000
/** After this time without evictions the next one is the first again. */
const FIRST_AGAIN_MS = 600_000

/** KEYS: any key, whose node of a Cluster is asked. Returns how many keys this server has evicted; -1: INFO is refused. */
const EVICTED = defineScript(`
local info = redis.pcall('INFO', 'stats')
return tonumber(type(info) == 'string' and string.match(info, 'evicted_keys:(%d+)') or -1)`)

interface EvictionWatchOptions {
  client: RedisClient
  /** A key of this cache. */
  key: string
  /** Runs a command, and rejects at once while Redis is out of reach. */
  ask: <T>(work: () => Promise<T>) => Promise<T>
  clock: Clock
  observe: (event: CacheEvent) => void
}

/**
 * Asks Redis each minute how many keys it has evicted, and emits `store-evicted` when there are more than before. Nothing
 * else tells of evictions: Redis reports no error. Returns a function that ends it.
 */
export function watchEvictions({ client, key, ask, clock, observe }: EvictionWatchOptions): () => void {
  const run = createRunner(client)
  let known: number | undefined
  let evictedAtMs = Number.NEGATIVE_INFINITY
  let isEnded = false
  let cancel = () => {}

  async function compare(): Promise<void> {
    const evicted = Number(await ask(() => run(EVICTED, [key])))
    const keys = evicted - (known ?? evicted)
    known = evicted
    if (keys <= 0) return
    const isFirst = clock.now() - evictedAtMs >= FIRST_AGAIN_MS
    evictedAtMs = clock.now()
    observe({ type: 'store-evicted', keys, isFirst })
  }

  function askLater(): void {
    if (!isEnded) cancel = clock.schedule(ASK_MS, askNow)
  }
  function askNow(): void {
    // An outage is reported by others.
    void compare().then(askLater, askLater)
  }
  askNow()
  return () => {
    isEnded = true
    cancel()
  }
}
