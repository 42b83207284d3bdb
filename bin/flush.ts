import type { Kysely } from 'kysely'
import { countBatch } from '../db/count-views.ts'
import type { Database } from '../db/schema.ts'
import { nonce } from '../plugins/backend.ts'
import { createFlusher, type Flushed } from '../views/flusher.ts'
import { createRedisViewBuffer } from '../views/redis-view-buffer.ts'
import { MAX_BATCHES } from '../views/view-buffer.ts'
import { type RedisConfig, withRedis } from './redis.ts'

/**
 * Counts in the database the views that wait in a Redis; services may run meanwhile.
 * @throws StartupError when Redis or the database did not answer; nothing is lost, and the next flush goes on from there.
 */
export function flushRedis(db: Kysely<Database>, config: RedisConfig): Promise<Flushed> {
  const { cache, siteTimeZone: timeZone } = config
  return withRedis(
    config,
    async (client) => {
      const flush = createFlusher({
        // Nothing is added here.
        buffer: createRedisViewBuffer({ client, prefix: cache.prefix, dedupSeconds: 1 }),
        count: (id, buckets) => countBatch(db, { id, timeZone, nowMs: Date.now(), buckets }),
        nonce,
      })
      const all: Flushed = { batches: 0, views: 0, waiting: 0 }
      for (;;) {
        const { batches, views, waiting } = await flush()
        all.batches += batches
        all.views += views
        all.waiting = waiting
        // While so many batches waited, no new one was made of the buffer.
        if (batches < MAX_BATCHES) return all
      }
    },
    (code) =>
      `Not all views could be counted (${code}): check Redis in REDIS_URL and the database; nothing is lost, run it again.`,
  )
}
