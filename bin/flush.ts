import type { Kysely } from 'kysely'
import { countBatch } from '../db/count-views.ts'
import type { Database } from '../db/schema.ts'
import { materializeWindows } from '../db/store-rollups.ts'
import { nonce } from '../lib/nonce.ts'
import { plural } from '../lib/plural.ts'
import { createFlusher, type FlushResult } from '../views/flusher.ts'
import { createRedisViewBuffer } from '../views/redis-view-buffer.ts'
import { createWindowKeeper } from '../views/window-keeper.ts'
import { type RedisConfig, withRedis } from './redis.ts'

/** The backlog of one day of 10,000 posts takes about half of this. */
const DRAIN_MS = 60_000

/** What to do about an error, by its code. */
const REMEDIES: Record<string, string> = {
  '55P03': 'another transaction holds rows of the counters; end it, or wait for its end (pg_stat_activity names it)',
  NOPERM:
    'Redis refuses keys or commands to the user in REDIS_URL; give it the rights in docs/operating.md, for a Cluster also those to the shards',
}

/**
 * Counts in the database the views that wait in Redis, and prints a summary. Services may run at the same time. It ends
 * within two minutes.
 * @throws StartupError if Redis or the database did not answer. No view is lost; the next flush continues.
 */
export function flushRedis(
  db: Kysely<Database>,
  config: RedisConfig,
  print: (sentence: string) => void,
): Promise<void> {
  const { cache, siteTimeZone: timeZone, days: allowed } = config
  let refused: unknown
  return withRedis(
    config,
    async (client) => {
      const flusher = createFlusher({
        // This buffer only flushes; `dedupSeconds` is not used.
        buffer: createRedisViewBuffer({
          client,
          prefix: cache.redisPrefix,
          dedupSeconds: 1,
          onRefused: (error) => {
            refused = error
          },
        }),
        count: (id, buckets) => countBatch(db, { id, timeZone, nowMs: Date.now(), buckets }),
        nonce,
        drainMs: DRAIN_MS,
      })
      const { error = refused, ...flushed } = await flusher.flush()
      await createWindowKeeper((isOver) => materializeWindows(db, { timeZone, allowed }, isOver))()
      if (error === undefined || flushed.batches > 0 || flushed.waiting > 0) print(describe(flushed))
      if (error !== undefined) throw error
    },
    (code) =>
      `Not all views could be counted (${code}): ${REMEDIES[code] ?? 'check Redis in REDIS_URL and the database'}; nothing is lost, run it again.`,
  )
}

function describe({ views, batches, waiting, aside }: FlushResult): string {
  const sentences: string[] = []
  if (batches > 0) sentences.push(`Counted ${plural(views, 'view')} in ${plural(batches, 'batch', 'batches')}.`)
  if (waiting > 0) sentences.push(`Left for the next run: ${plural(waiting, 'batch', 'batches')}.`)
  if (aside > 0)
    sentences.push(`Set aside for ten minutes, because they cannot be counted: ${plural(aside, 'batch', 'batches')}.`)
  return sentences.join(' ') || 'No views were waiting.'
}
