import { Client } from 'pg'
import type { PrivatePostgres } from './private-postgres.ts'
import { until } from './services/until.ts'

/** Ways to end PostgreSQL: `fast` and `immediate` send clients an error, `crash` does not. */
export const ENDINGS = { fast: 'SIGINT', immediate: 'SIGQUIT', crash: 'SIGKILL' } as const

const LOCK = `begin; set local search_path = popular_posts, public;
lock table post_views_daily, post_views_total in access exclusive mode nowait`

/** Restarts a server while each reader waits for a statement that waits for a lock. */
export async function restartDuringQueries(
  server: PrivatePostgres,
  ending: keyof typeof ENDINGS,
  readers: readonly { url: string; read: () => Promise<unknown> }[],
): Promise<void> {
  const reading: Promise<unknown>[] = []
  for (const { url, read } of readers) {
    const client = new Client({ connectionString: url })
    client.on('error', () => undefined)
    await client.connect()
    // Without waiting for a lock: a statement that has one of these tables may want the other one.
    const lock = async () => {
      try {
        await client.query(LOCK)
        return true
      } catch {
        await client.query('rollback')
        return false
      }
    }
    await until(lock, 'the tables are locked')
    // The result of the read does not matter.
    reading.push(read().catch(() => undefined))
    await until(async () => {
      // pg_locks instead of pg_stat_activity, of which a transaction sees one snapshot.
      const { rowCount } = await client.query(
        'select from pg_locks join pg_database on oid = database where datname = current_database() and not granted',
      )
      return rowCount !== 0
    }, 'a statement waits')
  }
  await server.kill(ENDINGS[ending])
  await server.restart()
  await Promise.all(reading)
}
