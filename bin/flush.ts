import type { Kysely } from 'kysely'
import { countBatch } from '../db/count-views.ts'
import type { Database } from '../db/schema.ts'
import { codeOf, StartupError } from '../db/startup-error.ts'
import { nonce } from '../plugins/backend.ts'
import { createRedisClient } from '../plugins/redis.ts'
import { createFlusher, type Flushed } from '../views/flusher.ts'
import { createRedisViewBuffer } from '../views/redis-view-buffer.ts'
import { MAX_BATCHES } from '../views/view-buffer.ts'

export interface FlushOptions {
  redisUrl: string
  isCluster: boolean
  prefix: string
  /** The site's IANA time zone: decides the day that a view belongs to. */
  timeZone: string
}

/**
 * Counts in the database the views that wait in a Redis; services may run meanwhile.
 * @throws StartupError when Redis or the database did not answer; nothing is lost, and the next flush goes on from there.
 */
export async function flushRedis(
  db: Kysely<Database>,
  { redisUrl, isCluster, prefix, timeZone }: FlushOptions,
): Promise<Flushed> {
  const client = createRedisClient(redisUrl, isCluster)
  client.on('error', () => {})
  const flush = createFlusher({
    // Nothing is added here.
    buffer: createRedisViewBuffer({ client, prefix, dedupSeconds: 1 }),
    count: (id, buckets) => countBatch(db, { id, timeZone, nowMs: Date.now(), buckets }),
    nonce,
  })
  const all: Flushed = { batches: 0, views: 0, waiting: 0 }
  try {
    await client.connect().catch(failed('Redis in REDIS_URL could not be reached', 'check that it runs'))
    for (;;) {
      const { batches, views, waiting } = await flush()
      all.batches += batches
      all.views += views
      all.waiting = waiting
      // While so many batches waited, no new one was made of the buffer.
      if (batches < MAX_BATCHES) return all
    }
  } catch (error) {
    return failed(
      'Not all views could be counted',
      'check Redis in REDIS_URL and the database; nothing is lost, run it again',
    )(error)
  } finally {
    client.disconnect()
  }
}

/** Throws what was thrown, as a sentence. */
function failed(what: string, remedy: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof StartupError) throw error
    throw new StartupError(`${what} (${codeOf(error) || 'no answer'}): ${remedy}.`, { cause: error })
  }
}
