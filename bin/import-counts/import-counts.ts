import { type Kysely, sql, type Transaction } from 'kysely'
import { type AppliedImport, undoImport } from '../../db/apply-counts.ts'
import { beginCountImport, type ExportedCount, type OpenCountImport } from '../../db/count-imports.ts'
import { lockSource } from '../../db/count-ledger.ts'
import type { PostCreation } from '../../db/log-imports.ts'
import type { Database } from '../../db/schema.ts'
import { urlOfPath } from '../import-log/paths.ts'
import type { PostPattern } from '../import-log/slug.ts'
import { createCalendar } from './days.ts'
import { ExportError } from './export-error.ts'
import type { Format } from './formats.ts'
import { type ExportFile, readExport } from './read-export.ts'
import { type CountedRow, type Row, readRow } from './read-row.ts'

/** Options of {@link importCounts}. */
export interface ImportCountsOptions {
  db: Kysely<Database>
  /** The files of one export. */
  files: readonly ExportFile[]
  /** The site's IANA time zone. */
  timeZone: string
  /** The zone of times without an offset. Default: the site's. */
  sourceZone?: string | undefined
  /** The present, in milliseconds since the epoch. */
  nowMs: number
  /** The name of the format; default: it is recognised by the columns. */
  from?: string | undefined
  /** The name of the counter that made the export; default: the name of the format. */
  source?: string | undefined
  /** Which paths are posts. Default: the last part of the path, without `.html`, is a slug. */
  post?: PostPattern | undefined
  /** The slugs of the ids in the export; `same`: they are the ids of the posts in the database. */
  ids?: ReadonlyMap<string, string> | 'same' | undefined
  createPosts?: PostCreation | undefined
  /** The first day that does not count, `YYYY-MM-DD`. Totals do not count then, either. */
  before?: string | undefined
  /** Whether views count, too, on days of posts of which the database has other views. Default false. */
  anyway?: boolean | undefined
  /** Whether nothing is changed. Default false. */
  dryRun?: boolean | undefined
  onProgress?: ((progress: { bytes: number; lines: number }) => void) | undefined
}

/** The result of an import. */
export interface ImportedCounts extends AppliedImport {
  /** `refused`: nothing was changed, because of {@link AppliedImport.overlap}. */
  outcome: 'counted' | 'nothing new' | 'dry run' | 'refused'
  /** The id, for an undo. */
  id: string
  source: string
  rows: number
  /** All views in rows of posts. */
  exported: bigint
  /** Views of posts that do not exist, and the ten slugs, paths or ids with the most. */
  unknown: bigint
  topUnknown: { name: string; views: bigint }[]
  /** Rows that have no views of posts; whose day has not begun; that are not before the day of `before`; that cannot be read. */
  others: number
  future: number
  after: number
  broken: number
  /** What the first broken row says. */
  firstBroken: string | undefined
  /** The first and the last day; `undefined`: there are totals only. */
  firstDay: string | undefined
  lastDay: string | undefined
  postsCreated: number
}

/** How many rows one statement stages. */
const BATCH = 10_000
/** How many names of unknown posts are remembered. Of more, those with few views are forgotten. */
const MAX_UNKNOWN = 10_000
const TOP = 10

/** Ends the transaction without a change. */
class RolledBack extends Error {
  readonly result: ImportedCounts
  constructor(result: ImportedCounts) {
    super('rolled back')
    this.result = result
  }
}

/**
 * Counts the views of an export of another counter, all or none. Memory does not grow with the export.
 * @throws an error for the user, if the export cannot be read; the error of PostgreSQL. Nothing is changed then.
 */
export async function importCounts(options: ImportCountsOptions): Promise<ImportedCounts> {
  try {
    return await options.db.transaction().execute((trx) => importAll(trx, options))
  } catch (error) {
    if (error instanceof RolledBack) return error.result
    throw error
  }
}

async function importAll(trx: Transaction<Database>, options: ImportCountsOptions): Promise<ImportedCounts> {
  const { files, from, timeZone, nowMs, anyway = false, dryRun = false, onProgress = () => {} } = options
  const calendar = createCalendar(timeZone, options.sourceZone ?? timeZone)
  const rowOptions = { post: options.post, calendar, today: calendar.dayOf(nowMs), before: options.before }
  const tally = createTally()
  let opened: { open: OpenCountImport; source: string; format: string } | undefined
  let bytes = 0

  async function begin({ name }: Format): Promise<OpenCountImport> {
    if (opened === undefined) {
      const source = options.source ?? name
      const open = await beginCountImport(trx, { source, timeZone, nowMs, createPosts: options.createPosts })
      opened = { open, source, format: name }
    }
    if (opened.format !== name && options.source === undefined)
      throw new ExportError(
        `The files are exports of two counters, ${opened.format} and ${name}: import one after the other, or name their source with --source.`,
      )
    return opened.open
  }

  for (const file of files) {
    const batches = readExport(file, from, (more) => {
      bytes += more
    })
    for await (const batch of batches) {
      for (let start = 0; start < batch.length; start += BATCH) {
        const counts: ExportedCount[] = []
        const rows = batch.slice(start, start + BATCH)
        for (const { line, fields, format } of rows) {
          const row = readRow(fields, format, rowOptions)
          const place = `${file.name}, row ${line}`
          if (tally.add(row, place)) counts.push(countOf(row, options, format))
        }
        for (const { format } of rows.slice(0, 1)) tally.addUnknown(await (await begin(format)).add(counts))
      }
      onProgress({ bytes, lines: tally.result.rows })
    }
  }
  // A file without rows is an error, so the import has begun.
  const { open, source } = opened as unknown as { open: OpenCountImport; source: string }
  const { result } = tally
  if (result.rows === result.broken) throw new ExportError(`No row can be read: ${result.firstBroken}.`)
  const applied = await open.apply()
  const topUnknown = tally.topUnknown()
  const imported = { ...result, ...applied, topUnknown, source, id: open.id, postsCreated: open.created }
  if (dryRun) throw new RolledBack({ ...imported, outcome: 'dry run' })
  if (applied.overlap.days > 0 && !anyway) throw new RolledBack({ ...imported, outcome: 'refused' })
  if (applied.views === 0n) throw new RolledBack({ ...imported, outcome: 'nothing new' })
  return { ...imported, outcome: 'counted' }
}

function countOf(
  { post, url, day, timeMs, views, heat }: CountedRow,
  { ids, createPosts, post: pattern }: ImportCountsOptions,
  { name }: Format,
): ExportedCount {
  if ('id' in post && ids === undefined)
    throw new ExportError(
      `This export (${name}) has the ids of posts and no slugs. Name a CSV file with the columns ID and post_name, or id and slug, of the posts: --ids posts.csv. If these are the ids of the posts in the database: --ids same.`,
    )
  if (url !== undefined && createPosts !== undefined && pattern === undefined)
    throw new ExportError(
      '--create-posts needs --post, such as --post /blog/: without it every page of the export would become a post.',
    )
  const address = url ?? urlOfPath('slug' in post ? post.slug : '')
  return { post: namedPost(post, ids), url: address, day, timeMs, views, heat }
}

/** An id of an export is an id of the database only if the user says so: numbers of two systems look the same. */
function namedPost(post: CountedRow['post'], ids: ImportCountsOptions['ids']): ExportedCount['post'] {
  if ('slug' in post || !(ids instanceof Map)) return post
  const slug = ids.get(post.id) as string | undefined
  return slug === undefined ? { foreignId: post.id } : { slug }
}

type Counted = Pick<
  ImportedCounts,
  'rows' | 'exported' | 'unknown' | 'others' | 'future' | 'after' | 'broken' | 'firstBroken' | 'firstDay' | 'lastDay'
>

/** Counts what the rows of an export are. */
function createTally() {
  const result: Counted = {
    rows: 0,
    exported: 0n,
    unknown: 0n,
    others: 0,
    future: 0,
    after: 0,
    broken: 0,
    firstBroken: undefined,
    firstDay: undefined,
    lastDay: undefined,
  }
  const unknown = new Map<string, bigint>()
  const byViews = () => [...unknown].sort(([, a], [, b]) => (a < b ? 1 : a > b ? -1 : 0))

  return {
    result,
    /** @returns whether the row has views of a post. */
    add(row: Row, place: string): row is CountedRow {
      result.rows++
      if (row.kind === 'broken') {
        result.broken++
        result.firstBroken ??= `${place}: ${row.problem}`
      } else if (row.kind === 'count') {
        const { day, views } = row
        result.exported += views
        if (day !== undefined && (result.firstDay === undefined || day < result.firstDay)) result.firstDay = day
        if (day !== undefined && (result.lastDay === undefined || day > result.lastDay)) result.lastDay = day
        return views > 0n
      } else result[KINDS[row.kind]]++
      return false
    },
    addUnknown(counts: readonly ExportedCount[]): void {
      for (const { post, url, views } of counts) {
        const name = 'slug' in post ? url : `id ${'id' in post ? post.id : post.foreignId}`
        result.unknown += views
        unknown.set(name, (unknown.get(name) ?? 0n) + views)
      }
      if (unknown.size > MAX_UNKNOWN) for (const [name] of byViews().slice(MAX_UNKNOWN / 2)) unknown.delete(name)
    },
    topUnknown: () =>
      byViews()
        .slice(0, TOP)
        .map(([name, views]) => ({ name, views })),
  }
}

const KINDS = { other: 'others', future: 'future', after: 'after' } as const

/** What an undo has taken back. */
export interface UndoneImport {
  source: string
  views: bigint
}

/**
 * Takes an import back.
 * @throws an error for the user, if there is no such import.
 */
export async function undoCounts(
  db: Kysely<Database>,
  { id, timeZone, nowMs }: { id: string; timeZone: string; nowMs: number },
): Promise<UndoneImport> {
  return db.transaction().execute(async (trx) => {
    const imports = await trx
      .selectFrom('post_views_import')
      .select([sql<string>`id::text`.as('id'), 'source', sql<string>`imported_at::date::text`.as('day')])
      .orderBy('post_views_import.id')
      .execute()
    const found = imports.find((one) => one.id === id)
    if (found === undefined) {
      const known = imports.slice(-TOP).map((one) => `${one.id} (${one.source}, ${one.day})`)
      throw new ExportError(
        `There is no import ${id} to undo: ${known.length === 0 ? 'there are none' : `there are ${known.join(', ')}`}.`,
      )
    }
    const { source } = found
    await lockSource(trx, source)
    return { source, views: await undoImport(trx, { id, source, timeZone, nowMs }) }
  })
}
