import { createHash } from 'node:crypto'
import { type Kysely, sql } from 'kysely'
import { hasOwnTable, OWN_INDEXES } from '../db/own-schema.ts'
import { LEDGER_DAYS_KEPT } from '../db/retention.ts'
import { codeOf } from '../lib/errors.ts'

/** How a change of the data invalidates cached lists: see `Store.invalidate`. */
export type ChangeMode = 'hard' | 'soft'

/**
 * The channel of notifications of a database. Payloads: the name of a change (`hard <transaction> <time>`, `soft …`), or
 * `later` for a change that takes effect at a later time; and the schema of the tables that it is in.
 */
export const CHANNEL = 'popular_posts'

/** The oldest revision that is compared. Changes after an older one may have been deleted. */
const COMPARABLE_DAYS = LEDGER_DAYS_KEPT - 1

/**
 * Records a change in the database: every process that listens or compares revisions invalidates its lists. Inside a
 * transaction it takes effect at the commit.
 * @returns the name of the change, as in notifications.
 */
export async function recordChange<DB>(db: Kysely<DB>, mode: ChangeMode): Promise<string> {
  const { rows } = await sql<{ name: string }>`
    select concat_ws(' ', ${mode}::text, pg_current_xact_id(), extract(epoch from now())) as name
    from ${sql.table('popular_posts_announce')}(${mode}::text)`.execute(db)
  // A select from this function returns one row.
  const [change] = rows as [{ name: string }]
  return change.name
}

/**
 * Like {@link recordChange}, for a database that may not record changes: it was not migrated, the role may not announce
 * (SQLSTATE class 42), or it is read-only (25).
 * @returns `undefined` if the change was not recorded for such a reason.
 * @throws the error of the connection, or another one of PostgreSQL: a retry may succeed.
 */
export function recordChangeIfPossible<DB>(db: Kysely<DB>, mode: ChangeMode): Promise<string | undefined> {
  return recordChange(db, mode).catch((error: unknown) => {
    if (/^(?:42|25)/.test(codeOf(error))) return undefined
    throw error
  })
}

/** Whether this database records changes, that is, whether it was migrated. */
export async function hasChangeTable<DB>(db: Kysely<DB>): Promise<boolean> {
  return hasOwnTable(db, 'popular_posts_change')
}

/**
 * The name of a change, as `popular_posts_announce` sends it: `hard 7431 1764000000.123456`. The first number is in the
 * range of transaction ids of PostgreSQL.
 */
const CHANGE_NAME = /^(?:hard|soft) (\d{1,18}) [\d.]+$/

/** The payload of a notification without the schema, and the schema; functions of earlier versions do not send it. */
export function partsOf(notification: string): [payload: string, schema: string | undefined] {
  const [, payload = notification, schema] = /^((?:hard|soft) \d+ [\d.]+|later) (.+)$/s.exec(notification) ?? []
  return [payload, schema]
}

/** Whether the payload of a notification has the form of a change's name. The change itself may not exist. */
export function isChangeName(notification: string): boolean {
  return CHANGE_NAME.test(notification)
}

/**
 * Verifies names of changes, because any role may send any notification.
 * @returns those whose changes were committed after the revision, in the order of `names`.
 */
export async function committedSince<DB>(
  db: Kysely<DB>,
  revision: string,
  names: readonly string[],
): Promise<string[]> {
  const [, snapshot] = revision.split(' ')
  const xids = new Set(names.map((name) => CHANGE_NAME.exec(name)?.[1]))
  const { rows } = await sql<{ name: string }>`
    select concat_ws(' ', change, xid, extract(epoch from changed_at)) as name from ${sql.table('popular_posts_change')}
    where xid = any(${[...xids]}::xid8[]) and not pg_visible_in_snapshot(xid, ${snapshot}::pg_snapshot)`.execute(db)
  const committed = new Set(rows.map(({ name }) => name))
  return names.filter((name) => committed.has(name))
}

/** The changes since a revision. */
export interface ChangesSince {
  /** The present revision, for the next comparison: opaque. */
  revision: string
  /** `hard` if one of the changes is; `undefined`: there is no change. */
  mode: ChangeMode | undefined
  /** Whether the revision could be compared. */
  isComparable: boolean
  /** Names the changes: the same in all processes that compare the same changes (see `Store.invalidate`). */
  name: string | undefined
  /** Milliseconds until the next scheduled change takes effect (a scheduled post); `undefined`: there is none. */
  dueInMs: number | undefined
}

interface Comparison {
  revision: string
  /** 1: the revision cannot be compared; `null`: none was given. */
  lost: number | null
  /** An array, as JSON. */
  names: string
  due_in_ms: number | null
}

/**
 * Returns the changes since a revision.
 *
 * A revision is a time of the database and the snapshot at that time: the set of committed transactions. Therefore a
 * transaction that begins before and commits after the revision is not missed, and writers do not wait for each other, as
 * they would to increment a counter. A revision also names the indexes of the tables, because PostgreSQL creates them again
 * during a restore, after the rows. While the tables have no index, the revision keeps those of the last one.
 * @param revision from the last call; `undefined` at the first call: then there is no change. A revision of another
 * database, also of a restored one, or one that is older than 6 days, counts as `hard`.
 * @param isUnseen called with the name of each change, as in notifications; `false` leaves the change out.
 * @throws the error of PostgreSQL.
 */
export async function changesSince<DB>(
  db: Kysely<DB>,
  revision: string | undefined,
  isUnseen: (name: string) => boolean = () => true,
): Promise<ChangesSince> {
  const [seconds = null, snapshot = null, indexes = null] = revision?.split(' ') ?? []
  const then = sql`to_timestamp(${seconds}::float8)`
  const seen = sql`${snapshot}::pg_snapshot`
  const comparison = sql`(
    with present as materialized (
      select statement_timestamp() as at, pg_current_snapshot() as snapshot, ${OWN_INDEXES} as indexes
    ), known as (
      select xid, change, changed_at from ${sql.table('popular_posts_change')}
      where xid >= pg_snapshot_xmin(${seen}) and not pg_visible_in_snapshot(xid, ${seen})
      union
      select xid, change, changed_at from ${sql.table('popular_posts_change')} where changed_at > ${then}
    ), missed as (
      select concat_ws(' ', change, xid, extract(epoch from changed_at)) as name from known, present
      -- A restored dump has rows with transaction ids of another cluster.
      where changed_at <= at and pg_visible_in_snapshot(xid, snapshot)
    )
    select
      -- A standby does not list the running transactions: all from the oldest of them on count as not seen.
      concat_ws(' ', extract(epoch from at), case when pg_is_in_recovery()
        then concat(pg_snapshot_xmin(snapshot), ':', pg_snapshot_xmin(snapshot), ':') else snapshot::text end,
        coalesce(indexes, ${indexes})) as revision,
      (at - ${then} > make_interval(days => ${COMPARABLE_DAYS})
        or (${seconds}::text is not null and indexes <> coalesce(${indexes}, ''))
        or pg_snapshot_xmax(${seen}) > pg_snapshot_xmax(snapshot))::int as lost,
      to_json(array(select name from missed order by name))::text as names,
      (select extract(epoch from min(changed_at) - at) * 1000 from ${sql.table('popular_posts_change')}
        where changed_at > at and changed_at < 'infinity')::float8 as due_in_ms
    from present
  )`.as('comparison')
  const row = await db.selectFrom(comparison).selectAll().$castTo<Comparison>().executeTakeFirstOrThrow()
  const unseen = (JSON.parse(row.names) as string[]).filter(isUnseen)
  const [first] = unseen
  const isComparable = Number(row.lost) !== 1
  const dueInMs = row.due_in_ms === null ? undefined : Number(row.due_in_ms)
  const found = { revision: row.revision, dueInMs, isComparable }
  if (!isComparable) return { ...found, mode: 'hard', name: `since ${revision}` }
  if (first === undefined) return { ...found, mode: undefined, name: undefined }
  return {
    ...found,
    mode: unseen.some((name) => name.startsWith('hard ')) ? 'hard' : 'soft',
    name: unseen.length === 1 ? first : createHash('sha256').update(unseen.join('\n')).digest('base64url'),
  }
}
