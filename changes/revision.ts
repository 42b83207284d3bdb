import { createHash } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { LEDGER_DAYS_KEPT } from '../db/retention.ts'

/** How a change of the data concerns cached lists: see `Store.invalidate`. */
export type Change = 'hard' | 'soft'

/** The channel of notifications: `hard <transaction> <time>`, `soft …`, or `later`, for what is due at a later moment. */
export const CHANNEL = 'popular_posts'

/** A revision that is older is not compared any more: some changes since then may have been deleted. */
const COMPARABLE_DAYS = LEDGER_DAYS_KEPT - 1

/**
 * Says that lists are outdated, to all who listen on this database and to all who compare revisions; inside a
 * transaction, when it commits.
 */
export async function announceChange<DB>(db: Kysely<DB>, change: Change): Promise<void> {
  await sql`select popular_posts_announce(${change})`.execute(db)
}

/** Whether changes are written down in this database: whether it was migrated. */
export async function areChangesKept<DB>(db: Kysely<DB>): Promise<boolean> {
  const { rows } = await sql<{ kept: boolean }>`
    select to_regclass('popular_posts_change') is not null as kept`.execute(db.withoutPlugins())
  return rows[0]?.kept === true
}

/** What `popular_posts_announce` notifies of: `hard 7431 1764000000.123456`. The number is one that PostgreSQL takes for a transaction's. */
const NAME = /^(?:hard|soft) (\d{1,18}) [\d.]+$/

/** Whether a notification is the name of a change; it need not be one that was made. */
export function isName(notification: string): boolean {
  return NAME.test(notification)
}

/**
 * Which of these names are changes that were committed, and that a revision did not see: any role may notify of anything.
 * @returns them in the order in which they were given.
 */
export async function announcedSince<DB>(
  db: Kysely<DB>,
  revision: string,
  names: readonly string[],
): Promise<string[]> {
  const [, snapshot] = revision.split(' ')
  const xids = new Set(names.map((name) => NAME.exec(name)?.[1]))
  const { rows } = await sql<{ name: string }>`
    select concat_ws(' ', change, xid, extract(epoch from changed_at)) as name from popular_posts_change
    where xid = any(${[...xids]}::xid8[]) and not pg_visible_in_snapshot(xid, ${snapshot}::pg_snapshot)`.execute(
    db.withoutPlugins(),
  )
  const announced = new Set(rows.map(({ name }) => name))
  return names.filter((name) => announced.has(name))
}

/** What has happened since a revision. */
export interface ChangesSince {
  /** To be compared with next time: opaque. */
  revision: string
  /** The gravest of the changes; `undefined`: there was none. */
  change: Change | undefined
  /** Names the changes: the same for all who missed the same ones (see `Store.invalidate`). */
  cause: string | undefined
  /** In how many milliseconds the next change is due that is known of ahead: a scheduled post. */
  dueInMs: number | undefined
}

interface Comparison {
  revision: string
  /** The revision cannot be compared with; `null`: there was none. */
  lost: boolean | null
  names: string[]
  due_in_ms: number | null
}

/**
 * Compares the database with what it was at a revision.
 *
 * A revision is a moment of the database and the snapshot of that moment: the transactions that had been committed. So a
 * transaction that began earlier and commits later is not missed, and no writer ever waits for another to count one up.
 * @param revision what the last call gave; `undefined` the first time: there is no change since then.
 * A revision of another database, or from more than 6 days ago, counts as `hard`.
 * @param isNews asked about each change by its name, as it is in notifications: whether it matters.
 * @throws what PostgreSQL answered.
 */
export async function changesSince<DB>(
  db: Kysely<DB>,
  revision: string | undefined,
  isNews: (name: string) => boolean = () => true,
): Promise<ChangesSince> {
  const [seconds = null, snapshot = null] = revision?.split(' ') ?? []
  const then = sql`to_timestamp(${seconds}::float8)`
  const seen = sql`${snapshot}::pg_snapshot`
  const comparison = sql`(
    with present as materialized (
      select statement_timestamp() as at, pg_current_snapshot() as snapshot
    ), known as (
      select xid, change, changed_at from popular_posts_change
      where xid >= pg_snapshot_xmin(${seen}) and not pg_visible_in_snapshot(xid, ${seen})
      union
      select xid, change, changed_at from popular_posts_change where changed_at > ${then}
    ), missed as (
      select concat_ws(' ', change, xid, extract(epoch from changed_at)) as name from known, present
      -- A dump brings rows of another cluster's transactions.
      where changed_at <= at and pg_visible_in_snapshot(xid, snapshot)
    )
    select
      -- A standby does not tell which transactions run: all from the first of them on count as not seen.
      concat_ws(' ', extract(epoch from at), case when pg_is_in_recovery()
        then concat(pg_snapshot_xmin(snapshot), ':', pg_snapshot_xmin(snapshot), ':') else snapshot::text end) as revision,
      at - ${then} > make_interval(days => ${COMPARABLE_DAYS})
        or pg_snapshot_xmax(${seen}) > pg_snapshot_xmax(snapshot) as lost,
      array(select name from missed order by name) as names,
      (select extract(epoch from min(changed_at) - at) * 1000 from popular_posts_change where changed_at > at)::float8 as due_in_ms
    from present
  )`.as('comparison')
  const row = await db
    .withoutPlugins()
    .selectFrom(comparison)
    .selectAll()
    .$castTo<Comparison>()
    .executeTakeFirstOrThrow()
  const news = row.names.filter(isNews)
  const [first] = news
  const found = { revision: row.revision, dueInMs: row.due_in_ms ?? undefined }
  if (row.lost === true) return { ...found, change: 'hard', cause: `since ${revision}` }
  if (first === undefined) return { ...found, change: undefined, cause: undefined }
  return {
    ...found,
    change: news.some((name) => name.startsWith('hard ')) ? 'hard' : 'soft',
    cause: news.length === 1 ? first : createHash('sha256').update(news.join('\n')).digest('base64url'),
  }
}
