import { Client } from 'pg'
import type { PrivatePostgres } from './private-postgres.ts'
import { until } from './services/until.ts'

/** Ways to end PostgreSQL: `fast` and `immediate` send clients an error, `crash` does not. */
export const ENDINGS = { fast: 'SIGINT', immediate: 'SIGQUIT', crash: 'SIGKILL' } as const

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
    await client.query('begin')
    await client.query('set search_path = popular_posts, public')
    await client.query('lock table post_views_daily, post_views_total in access exclusive mode')
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
