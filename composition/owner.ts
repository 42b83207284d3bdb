import { createHash } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import type { Tables } from '../db/ranking.ts'
import { systemClock } from '../lib/clock.ts'
import { databaseAddress } from '../lib/connection-urls.ts'
import { withinDeadline } from '../lib/deadline.ts'
import type { HostRedis } from '../lib/host-redis.ts'
import { keyRoot } from '../lib/redis-keys.ts'
import { createRunner, defineScript } from '../lib/redis-scripts-runner.ts'

/** KEYS: owner. ARGV: id of a blog. Returns 1 if the keys belong to it, or to none until now; else 0. */
const CLAIM = defineScript(`
local owner = redis.call('GET', KEYS[1])
if not owner then redis.call('SET', KEYS[1], ARGV[1]) end
return (not owner or owner == ARGV[1]) and 1 or 0`)

/** KEYS: owner, the blog at an address. Returns 1 or 0 as CLAIM does; nothing where the blog at the address is not known. */
const RECALL = defineScript(`
local owner, blog = redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])
if owner and blog then return owner == blog and 1 or 0 end`)

/** KEYS: the blog at an address. ARGV: id of the blog, for how many seconds it is known. */
const REMEMBER = defineScript(`return redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])`)

/** How long the blog at an address is known: another database may be there later. */
const KNOWN_SECONDS = 86_400

/** How long the start waits for the database and for Redis. */
const TIMEOUT_MS = 1_000

/**
 * Whether the keys of a prefix in Redis belong to the blog in the database. The first blog that asks gets them. A blog is
 * known by the time at which its counters were created, which a dump keeps: a copy of a database counts as the same blog.
 * @param ready is called before a query.
 * @param databaseUrl the address of the database, for a process that must not query it before its first reply (on AWS Lambda):
 * Redis knows for a day which blog is there. Default: the database is always asked.
 * @returns true also where this cannot be found out: Redis or the database does not reply, or the counters do not exist.
 */
export async function ownsPrefix(
  prefix: string,
  client: HostRedis,
  db: Kysely<Tables>,
  ready: () => Promise<void>,
  databaseUrl?: string,
): Promise<boolean> {
  const run = createRunner(client)
  const owner = `${keyRoot(prefix)}:owner`
  const place = databaseUrl && `${owner}:${placeOf(databaseUrl)}`
  const claim = async () => {
    const known = place && (await run(RECALL, [owner, place]))
    if (typeof known === 'number') return known === 1
    await ready()
    const { rows } = await sql<{ id: string }>`
      select timestamp as id from ${sql.table('popular_posts_migration')}
      where name = '001-view-counters'`.execute(db)
    // The schema was found, so its first migration has run.
    const [blog] = rows as [{ id: string }]
    if (place) await run(REMEMBER, [place], blog.id, KNOWN_SECONDS)
    return (await run(CLAIM, [owner], blog.id)) === 1
  }
  return withinDeadline(systemClock, TIMEOUT_MS, claim()).catch(() => true)
}

/** A name for the address of a database. */
function placeOf(databaseUrl: string): string {
  return createHash('sha256').update(databaseAddress(databaseUrl)).digest('base64url').slice(0, 16)
}
