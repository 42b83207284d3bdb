import { hash } from 'node:crypto'
import { type Kysely, sql, type Transaction } from 'kysely'
import { judgeChain, type Visit } from './log-chains.ts'
import type { Database } from './schema.ts'

/*
 * The ledger of imported logs: each visit to a post that an import has read, whether it counted as a view or was a
 * repeat. A visit is a post, a visitor and a time: no line, no file and no order, so it is the same visit in every copy
 * and every part of a log.
 *
 * A row has visits of one hour and one import, in `visits`, 12 bytes each: the index of the post in `post_ids` (3
 * bytes), the key (6), and the milliseconds in the hour (3), whose highest bit says whether the visit counted. The key
 * is a digest of the post and the visitor with a secret of the database: two visits with the same key and time are the
 * same. It names no reader, and does not show that two posts had the same one.
 */

/** A visit that an import brings. */
export interface NewVisit {
  key: number
  postId: string
  timeMs: number
}

/** A visit in the ledger. */
export interface KnownVisit extends Visit {
  wasCounted: boolean
  importId: string
  rowId: string
  /** The position of the byte with the highest bit. */
  offset: number
}

/** The visits of one visitor to one post, by time. */
export interface Chain {
  postId: string
  visits: (Visit | KnownVisit)[]
}

const VISIT_BYTES = 12
const KEY_OFFSET = 3
const TIME_OFFSET = 9
const COUNTED = 0x80_00_00
const HOUR_MS = 3_600_000
/** How many hours are read at once: what one statement returns stays small. */
const HOURS_AT_ONCE = 500

/** Of two transactions that change the ledger, the second one waits, and then reads what the first one wrote. */
export async function lockLedger(trx: Transaction<Database>): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('popular-posts import-log', 0))`.execute(trx)
}

/** Returns a function that makes the key of a post and a visitor. */
export async function readKeys(trx: Transaction<Database>): Promise<(postId: string, visitor: string) => number> {
  const name = 'log_secret'
  await sql`
    insert into ${sql.table('popular_posts_site')} (name, value) values (${name}, gen_random_uuid()::text)
    on conflict do nothing`.execute(trx)
  const { value } = await trx
    .selectFrom('popular_posts_site')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirstOrThrow()
  return (postId, visitor) =>
    Number.parseInt(hash('sha256', `${value} ${postId} ${visitor}`, 'hex').slice(0, 2 * (TIME_OFFSET - KEY_OFFSET)), 16)
}

interface LedgerChange {
  added: readonly NewVisit[]
  /** The rows that leave the ledger, and their visits. */
  removedRows: ReadonlySet<string>
  removed: readonly NewVisit[]
  windowMs: number
}

/** Decides again about every visit in the ledger that a change reaches; writes nothing. Returns the chains by their key. */
export async function judgeChange(
  trx: Transaction<Database>,
  { added, removed, removedRows, windowMs }: LedgerChange,
): Promise<Map<number, Chain>> {
  const chains = new Map<number, Chain>()
  const times = new Map<number, Set<number>>()
  const needed = new Set<number>()
  const need = (fromMs: number, toMs: number) => {
    for (let hour = hourOf(fromMs); hour <= hourOf(toMs); hour++) needed.add(hour)
  }
  for (const { key, postId, timeMs } of [...added, ...removed]) {
    chains.set(key, { postId, visits: [] })
    need(timeMs - windowMs, timeMs + windowMs)
  }
  for (const { key, timeMs } of added) times.set(key, (times.get(key) ?? new Set()).add(timeMs))
  const known = new Map<number, KnownVisit[]>()
  const loaded = new Set<number>()
  for (let hours = [...needed]; hours.length > 0; hours = [...needed].filter((hour) => !loaded.has(hour))) {
    for (const hour of hours) loaded.add(hour)
    for await (const [key, visit] of readVisits(trx, hours, chains, removedRows)) {
      known.set(key, [...(known.get(key) ?? []), visit])
    }
    for (const [key, chain] of chains) {
      const visits = known.get(key) ?? []
      const isKnown = new Set(visits.map(({ timeMs }) => timeMs))
      const fresh = [...(times.get(key) ?? [])].filter((timeMs) => !isKnown.has(timeMs))
      chain.visits = [
        ...visits,
        ...fresh.map((timeMs) => ({ timeMs, wasCounted: undefined, isRemoved: false, isCounted: false })),
      ].sort((a, b) => a.timeMs - b.timeMs)
      judgeChain(chain.visits, windowMs, need)
    }
  }
  return chains
}

async function* readVisits(
  trx: Transaction<Database>,
  hours: readonly number[],
  keys: ReadonlyMap<number, unknown>,
  removedRows: ReadonlySet<string>,
): AsyncGenerator<[key: number, visit: KnownVisit], void> {
  for (let start = 0; start < hours.length; start += HOURS_AT_ONCE) {
    const rows = await trx
      .selectFrom('post_views_log_visits')
      .select(['id', 'import_id', 'hour', 'visits'])
      .where(sql<boolean>`hour = any(${hours.slice(start, start + HOURS_AT_ONCE)}::integer[])`)
      .execute()
    for (const { id, import_id, hour, visits } of rows) {
      const [rowId, importId] = [String(id), String(import_id)]
      for (let position = 0; position < visits.length; position += VISIT_BYTES) {
        const key = visits.readUIntBE(position + KEY_OFFSET, 6)
        if (!keys.has(key)) continue
        const time = visits.readUIntBE(position + TIME_OFFSET, 3)
        const wasCounted = time >= COUNTED
        const timeMs = hour * HOUR_MS + (wasCounted ? time - COUNTED : time)
        const offset = position + TIME_OFFSET
        const isRemoved = removedRows.has(rowId)
        yield [key, { timeMs, wasCounted, isRemoved, isCounted: wasCounted, importId, rowId, offset }]
      }
    }
  }
}

/** Writes what {@link judgeChange} decided: new visits as those of an import, and new decisions about known ones. */
export async function writeChains(
  trx: Transaction<Database>,
  chains: ReadonlyMap<number, Chain>,
  importId: string,
): Promise<void> {
  const rows = new Map<number, { indexes: Map<string, number>; visits: Buffer[] }>()
  for (const [key, { postId, visits }] of chains) {
    for (const visit of visits) {
      if (isKnownVisit(visit)) {
        if (visit.isRemoved || visit.isCounted === visit.wasCounted) continue
        await sql`
          update ${sql.table('post_views_log_visits')}
          set visits = set_byte(visits, ${visit.offset}::integer, get_byte(visits, ${visit.offset}::integer) # 128)
          where id = ${visit.rowId}`.execute(trx)
        continue
      }
      const hour = hourOf(visit.timeMs)
      const row = rows.get(hour) ?? { indexes: new Map<string, number>(), visits: [] }
      rows.set(hour, row)
      const index = row.indexes.get(postId) ?? row.indexes.size
      row.indexes.set(postId, index)
      const bytes = Buffer.alloc(VISIT_BYTES)
      bytes.writeUIntBE(index, 0, 3)
      bytes.writeUIntBE(key, KEY_OFFSET, 6)
      bytes.writeUIntBE(visit.timeMs - hour * HOUR_MS + (visit.isCounted ? COUNTED : 0), TIME_OFFSET, 3)
      row.visits.push(bytes)
    }
  }
  if (rows.size === 0) return
  const values = [...rows].map(([hour, { indexes, visits }]) => ({
    import_id: importId,
    hour,
    post_ids: [...indexes.keys()],
    visits: Buffer.concat(visits),
  }))
  await trx.insertInto('post_views_log_visits').values(values).execute()
}

/** The first rows of an import, at most 200, and their visits. */
export async function readImport(
  db: Kysely<Database>,
  importId: string,
): Promise<{ rows: Set<string>; visits: NewVisit[] }> {
  const rows = await db
    .selectFrom('post_views_log_visits')
    .select(['id', 'hour', 'visits', sql<string[]>`post_ids::text[]`.as('posts')])
    .where('import_id', '=', importId)
    .orderBy('hour')
    .limit(200)
    .execute()
  const visits = rows.flatMap(({ hour, visits, posts }) =>
    Array.from({ length: visits.length / VISIT_BYTES }, (_none, index) => {
      const position = index * VISIT_BYTES
      const time = visits.readUIntBE(position + TIME_OFFSET, 3)
      return {
        key: visits.readUIntBE(position + KEY_OFFSET, 6),
        postId: String(posts[visits.readUIntBE(position, 3)]),
        timeMs: hour * HOUR_MS + (time >= COUNTED ? time - COUNTED : time),
      }
    }),
  )
  return { rows: new Set(rows.map(({ id }) => String(id))), visits }
}

export function isKnownVisit(visit: Visit): visit is KnownVisit {
  return visit.wasCounted !== undefined
}

function hourOf(timeMs: number): number {
  return Math.floor(timeMs / HOUR_MS)
}
