import { type Kysely, sql } from 'kysely'
import type { Tables } from '../db/ranking.ts'
import { systemClock } from '../lib/clock.ts'
import { withinDeadline } from '../lib/deadline.ts'
import type { HostRedis } from '../lib/host-redis.ts'
import { keyRoot } from '../lib/redis-keys.ts'
import { createRunner, defineScript } from '../lib/redis-scripts-runner.ts'

/** KEYS: owner. ARGV: id of a blog. Returns 1 if the keys belong to it, or to none until now; else 0. */
const CLAIM = defineScript(`
local owner = redis.call('GET', KEYS[1])
if not owner then redis.call('SET', KEYS[1], ARGV[1]) end
return (not owner or owner == ARGV[1]) and 1 or 0`)

/** How long the start waits for the database and for Redis. */
const TIMEOUT_MS = 1_000

/**
 * Whether the keys of a prefix in Redis belong to the blog in the database. The first blog that asks gets them. A blog is
 * known by the time at which its counters were created, which a dump keeps: a copy of a database counts as the same blog.
 * @returns true also where this cannot be found out: Redis or the database does not reply, or the counters do not exist.
 */
export async function ownsPrefix(prefix: string, client: HostRedis, db: Kysely<Tables>): Promise<boolean> {
  const claim = async () => {
    const { rows } = await sql<{ id: string }>`
      select timestamp as id from ${sql.table('popular_posts_migration')}
      where name = '001-view-counters'`.execute(db)
    const [blog] = rows
    return blog === undefined || (await createRunner(client)(CLAIM, [`${keyRoot(prefix)}:owner`], blog.id)) === 1
  }
  return withinDeadline(systemClock, TIMEOUT_MS, claim()).catch(() => true)
}
