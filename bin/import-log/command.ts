import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { Command } from 'commander'
import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { messageOf } from '../../lib/errors.ts'
import { formatSummary, refusalOf } from './format-summary.ts'
import { createLogReader, FORMATS } from './formats/formats.ts'
import { importLog, type Summary } from './import-log.ts'
import { parseBaseUrl } from './paths.ts'
import { createProgress } from './progress.ts'
import { compilePostPattern, type PostPattern } from './slug.ts'

/** The streams, the clock and the database of the command. */
interface ImportLogContext {
  /** Opens the migrated database: called once, after the arguments were checked. The command closes it. */
  openDatabase(): Promise<ImportLogDatabase>
  stdin: Readable & { isTTY?: boolean }
  stdout: Writable
  stderr: Writable & { isTTY?: boolean }
  /** The present, in milliseconds since the epoch. */
  nowMs(): number
}

interface ImportLogDatabase {
  db: Kysely<Database>
  /** The site's IANA time zone. */
  timeZone: string
  dedupSeconds: number
  /** The option `ignore`. */
  ignore: readonly string[]
  /** See `ImportLogOptions`. */
  beforeCreatingPosts?: ((trx: Transaction<Database>) => Promise<void>) | undefined
  /** The address of the service, by the environment. */
  address: string
  close(): Promise<void>
}

interface Flags {
  post?: string
  createPosts?: boolean
  baseUrl?: string
  format?: string
}

/** The checked flags. */
interface Choices {
  post: PostPattern | undefined
  createPosts: boolean
  baseUrl: string | undefined
  format: string | undefined
}

/**
 * The command `import-log [file]`. The summary goes to stdout, the progress bar and errors to stderr. Wrong arguments,
 * a file that cannot be opened and a log that cannot be read to its end print one sentence and exit with code 1
 * (commander's `error`); errors of the database are thrown.
 */
export function importLogCommand(context: ImportLogContext): Command {
  const command = new Command('import-log')
    .description('counts the views in an access log of a web server; the same log is never counted twice')
    .argument('[file]', 'an access log, plain or compressed; - or no file: standard input')
    .option(
      '--post <folder or regexp>',
      'the paths of posts: a folder such as /blog/ (tags, pages of lists, feeds and files in it are not posts), or a regular expression whose group (?<slug>...) is the slug of the post',
    )
    .option('--create-posts', 'create posts for unknown slugs (needs --post)')
    .option(
      '--base-url <url>',
      'the address of the blog, such as https://blog.example: created posts link there (needs --create-posts)',
    )
    .option(
      '--format <name or string>',
      `the format of the lines: ${FORMATS.map(({ name }) => name).join(', ')}, or the format string of nginx or Apache (default: recognised)`,
    )
    .addHelpText(
      'after',
      `
Examples:
  popular-posts import-log access.log --post /blog/ --create-posts --base-url https://blog.example
  zcat access.log.*.gz | popular-posts import-log --post /blog/ --create-posts
  popular-posts import-log access.log --format '$remote_addr [$time_iso8601] "$request" $status' --post /blog/
  popular-posts import-log access.log --post '^/(?:news|blog)/(?<slug>[^/]+)/?$'

If the posts are at /a-post/ or /2015/05/a-post/, the folder is /.`,
    )
  return command.action(async (file: string | undefined, flags: Flags) => {
    const problem = await run(context, file, flags)
    if (problem !== undefined) command.error(`error: ${problem}`, { exitCode: 1 })
  })
}

/** @returns the error message, if it failed. */
async function run(context: ImportLogContext, file: string | undefined, flags: Flags): Promise<string | undefined> {
  const choices = choose(flags)
  if (typeof choices === 'string') return choices
  if (file === undefined || file === '-') {
    if (context.stdin.isTTY === true) return 'Expected a log: name a file, or pipe one in.'
    return importFrom(context, context.stdin, undefined, choices)
  }
  let handle: FileHandle
  let totalBytes: number
  try {
    handle = await open(file)
    const stats = await handle.stat()
    if (stats.isDirectory()) {
      await handle.close()
      return `${file} is a directory, expected a log file.`
    }
    totalBytes = stats.size
  } catch (error) {
    return `Cannot open ${file}: ${messageOf(error)}`
  }
  const input = createReadStream(file, { fd: handle, highWaterMark: 256 * 1024 })
  return importFrom(context, input, totalBytes, choices)
}

/** @returns the error message, if the flags are wrong. */
function choose({ post, createPosts = false, baseUrl, format }: Flags): Choices | string {
  if (createPosts && post === undefined)
    return '--create-posts needs --post, such as --post /blog/: without it every image would become a post.'
  if (baseUrl !== undefined && !createPosts)
    return '--base-url needs --create-posts: it sets the addresses of created posts.'
  try {
    createLogReader(format)
    return {
      format,
      post: post === undefined ? undefined : compilePostPattern(post),
      createPosts,
      baseUrl: baseUrl === undefined ? undefined : parseBaseUrl(baseUrl),
    }
  } catch (error) {
    return messageOf(error)
  }
}

async function importFrom(
  { openDatabase, stdout, stderr, nowMs }: ImportLogContext,
  input: Readable,
  totalBytes: number | undefined,
  choices: Choices,
): Promise<string | undefined> {
  try {
    const { db, timeZone, dedupSeconds, ignore, beforeCreatingPosts, address, close } = await openDatabase()
    const progress = createProgress(stderr, totalBytes)
    let summary: Summary
    try {
      summary = await importLog({
        ...choices,
        db,
        timeZone,
        dedupSeconds,
        ignore,
        nowMs: nowMs(),
        input,
        beforeCreatingPosts,
        onProgress: progress.update,
      })
    } catch (error) {
      progress.stop()
      // The first error is the one to report.
      await close().catch(() => undefined)
      throw error
    }
    progress.stop()
    stdout.write(formatSummary(summary, { ...choices, address, ignore }))
    await close()
    return summary.stoppedBy ? `${summary.stoppedBy.message} The lines before that were counted.` : refusalOf(summary)
  } finally {
    input.destroy()
  }
}
