import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { Command, Option } from 'commander'
import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { messageOf } from '../../lib/errors.ts'
import { plural } from '../../lib/plural.ts'
import { parseBaseUrl } from '../import-log/paths.ts'
import { createProgress } from '../import-log/progress.ts'
import { compilePostPattern } from '../import-log/slug.ts'
import { storeSums } from '../store-sums.ts'
import { ExportError } from './export-error.ts'
import { describeOverlap, formatImport } from './format-summary.ts'
import { FORMAT_NAMES } from './formats.ts'
import { type ImportCountsOptions, type ImportedCounts, importCounts, undoCounts } from './import-counts.ts'
import { type ExportFile, readSlugs } from './read-export.ts'

/** The streams, the clock and the database of the command. */
interface ImportCountsContext {
  /** Opens the migrated database: called once, after the arguments were checked. The command closes it. */
  openDatabase(): Promise<CountsDatabase>
  stdin: Readable & { isTTY?: boolean }
  stdout: Writable
  stderr: Writable & { isTTY?: boolean }
  /** The present, in milliseconds since the epoch. */
  nowMs(): number
}

interface CountsDatabase {
  db: Kysely<Database>
  /** The site's IANA time zone. */
  timeZone: string
  /** Called before the first post is created, in the transaction that does. */
  beforeCreatingPosts(trx: Transaction<Database>): Promise<void>
  /** The option `days`. */
  days: readonly number[] | undefined
  /** The address of the service, by the environment. */
  address: string
  /** @param isChanged whether lists are outdated. */
  close(isChanged: boolean): Promise<void>
}

interface Flags {
  from?: string
  source?: string
  post?: string
  createPosts?: boolean
  baseUrl?: string
  ids?: string
  timeZone?: string
  before?: string
  anyway?: boolean
  dryRun?: boolean
  undo?: string
}

/**
 * The command `import-counts [files…]`. The summary goes to stdout, the progress bar and errors to stderr. Wrong
 * arguments, an export that cannot be read and one that is refused print one sentence and exit with code 1 (commander's
 * `error`); errors of the database are thrown.
 */
export function importCountsCommand(context: ImportCountsContext): Command {
  const command = new Command('import-counts')
    .description(
      'counts the views that another counter has counted, from its export; the same export is never counted twice',
    )
    .argument('[files...]', 'the files of one export, CSV or JSON, plain or compressed; - or no file: standard input')
    .addOption(
      new Option('--from <format>', 'the format of the export; it is recognised by its columns').choices(FORMAT_NAMES),
    )
    .option(
      '--source <name>',
      'the counter that made the export: exports of one source replace each other (the format)',
    )
    .option(
      '--post <folder, parameter or regexp>',
      "the addresses of posts, as for import-log: a folder such as /blog/, a parameter such as '/?p=', or a regular expression with a group (?<slug>...)",
    )
    .option('--create-posts', 'create posts for unknown slugs (for an export of paths it needs --post)')
    .option(
      '--base-url <url>',
      'the address of the blog, such as https://blog.example: created posts link there (needs --create-posts)',
    )
    .option(
      '--ids <file>',
      'the slugs of ids in the export: a CSV file with the columns id and slug, or ID and post_name; same: they are the ids in the database',
    )
    .option('--time-zone <zone>', 'the zone of times without an offset (SITE_TIME_ZONE)')
    .option('--before <day>', 'count only the days before this one, such as 2026-01-31')
    .option('--anyway', 'count, too, on days of posts of which the database has other views')
    .option('--dry-run', 'say what the import would count, and change nothing')
    .option('--undo <id>', 'take an import back')
    .addHelpText(
      'after',
      `
Examples:
  popular-posts import-counts imported_pages_20240101_20251231.csv --post /blog/
  popular-posts import-counts wp_post_views.csv --ids wp_posts.csv --before 2026-01-31
  popular-posts import-counts --undo 3

docs/import-counts.md has the formats.`,
    )
  return command.action(async (files: string[], flags: Flags) => {
    try {
      await (flags.undo === undefined ? run(context, files, flags) : undo(context, files, flags.undo))
    } catch (error) {
      if (!(error instanceof ExportError)) throw error
      command.error(`error: ${error.message}`, { exitCode: 1 })
    }
  })
}

async function undo(
  { openDatabase, stdout, stderr, nowMs }: ImportCountsContext,
  files: readonly string[],
  id: string,
): Promise<void> {
  if (files.length > 0) throw new ExportError('--undo takes an import back: it reads no file.')
  const { db, timeZone, days: allowed, close } = await openDatabase()
  const undone = await undoCounts(db, { id, timeZone, nowMs: nowMs() }).catch(async (error: unknown) => {
    await close(false)
    throw error
  })
  stdout.write(`Import ${id} (${undone.source}) was taken back: ${plural(Number(undone.views), 'view')}.\n`)
  await storeSums(db, { timeZone, allowed }, stderr)
  await close(true)
}

async function run(context: ImportCountsContext, names: readonly string[], flags: Flags): Promise<void> {
  const { stdout, stderr, nowMs } = context
  const choices = await choose(flags)
  const { files, totalBytes } = await openFiles(context, names)
  const { db, timeZone, days: allowed, beforeCreatingPosts, address, close } = await context.openDatabase()
  const progress = createProgress(stderr, totalBytes)
  const { createPosts, baseUrl, ...options } = choices
  let imported: ImportedCounts
  try {
    imported = await importCounts({
      ...options,
      db,
      files,
      timeZone,
      nowMs: nowMs(),
      createPosts: createPosts ? { before: beforeCreatingPosts, baseUrl } : undefined,
      onProgress: progress.update,
    })
  } catch (error) {
    progress.stop()
    // The first error is the one to report.
    await close(false).catch(() => undefined)
    throw error
  }
  progress.stop()
  stdout.write(formatImport(imported, { hasPattern: options.post !== undefined, createPosts, address }))
  const isChanged = imported.outcome === 'counted'
  if (isChanged) await storeSums(db, { timeZone, allowed }, stderr)
  await close(isChanged)
  if (imported.outcome === 'refused') throw new ExportError(describeOverlap(imported))
}

interface Choices
  extends Pick<
    ImportCountsOptions,
    'from' | 'source' | 'post' | 'ids' | 'sourceZone' | 'before' | 'anyway' | 'dryRun'
  > {
  createPosts: boolean
  baseUrl: string | undefined
}

/** @throws ExportError if the flags are wrong. */
async function choose(flags: Flags): Promise<Choices> {
  const { from, source, post, createPosts = false, baseUrl, ids, timeZone, before, anyway, dryRun } = flags
  if (baseUrl !== undefined && !createPosts)
    throw new ExportError('--base-url needs --create-posts: it sets the addresses of created posts.')
  if (before !== undefined && !isDay(before))
    throw new ExportError(`--before needs a day, such as 2026-01-31, got: ${before}`)
  if (timeZone !== undefined && !isTimeZone(timeZone))
    throw new ExportError(`--time-zone needs the name of a time zone, such as Europe/Berlin, got: ${timeZone}`)
  try {
    return {
      from,
      source,
      post: post === undefined ? undefined : compilePostPattern(post),
      createPosts,
      baseUrl: baseUrl === undefined ? undefined : parseBaseUrl(baseUrl),
      ids: ids === undefined || ids === 'same' ? ids : await readIds(ids),
      sourceZone: timeZone,
      before,
      anyway,
      dryRun,
    }
  } catch (error) {
    throw new ExportError(messageOf(error), { cause: error })
  }
}

function isDay(text: string): boolean {
  const ms = Date.parse(`${text}T00:00:00Z`)
  return !Number.isNaN(ms) && new Date(ms).toISOString().slice(0, 10) === text
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

/** Opens the files, so that a wrong name is an error before the database is opened. */
async function openFiles(
  { stdin }: ImportCountsContext,
  names: readonly string[],
): Promise<{ files: ExportFile[]; totalBytes: number | undefined }> {
  if (names.length === 0 || names.join() === '-') {
    if (stdin.isTTY === true) throw new ExportError('Expected an export: name its files, or pipe one in.')
    return { files: [{ name: 'standard input', input: stdin }], totalBytes: undefined }
  }
  let totalBytes = 0
  const files: ExportFile[] = []
  for (const name of names) {
    totalBytes += await sizeOf(name)
    // The stream opens the file when its first byte is read.
    files.push({ name, input: { [Symbol.asyncIterator]: () => createReadStream(name)[Symbol.asyncIterator]() } })
  }
  return { files, totalBytes }
}

async function sizeOf(name: string): Promise<number> {
  const stats = await stat(name).catch((error: unknown) => {
    throw new ExportError(`Cannot open ${name}: ${messageOf(error)}`)
  })
  if (stats.isDirectory()) throw new ExportError(`${name} is a directory, expected a file: name the files in it.`)
  return stats.size
}

/** The slugs of the ids in a CSV file or JSON. */
async function readIds(name: string): Promise<Map<string, string>> {
  await sizeOf(name)
  return readSlugs({ name, input: createReadStream(name) })
}
