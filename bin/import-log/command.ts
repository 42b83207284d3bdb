import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { Command } from 'commander'
import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { messageOf } from '../../lib/errors.ts'
import { formatSummary } from './format-summary.ts'
import { importLog, type Summary } from './import-log.ts'
import { parseBaseUrl } from './paths.ts'
import { createProgress } from './progress.ts'
import { compilePostPattern, type PostPattern } from './slug.ts'

/** What the command needs of the program around it. */
interface ImportLogContext {
  /** Opens the migrated database: once, when the arguments are known to be right. The command closes it. */
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
  /** See `ImportLogOptions`. */
  beforeCreatingPosts?: ((trx: Transaction<Database>) => Promise<void>) | undefined
  /** Where the service answers, as far as the environment says. */
  address: string
  close(): Promise<void>
}

interface Flags {
  post?: string
  createPosts?: boolean
  baseUrl?: string
}

/** The flags, checked. */
interface Choices {
  post: PostPattern | undefined
  createPosts: boolean
  baseUrl: string | undefined
}

/**
 * The command `import-log [file]`. The summary goes to stdout, the progress bar and errors to stderr.
 * Wrong arguments, a file that cannot be opened and a log that cannot be read to its end are one sentence and exit code 1
 * (commander's `error`); what the database answers is thrown.
 */
export function importLogCommand(context: ImportLogContext): Command {
  const command = new Command('import-log')
    .description("counts the views that a web server's access log tells of; the same log is never counted twice")
    .argument('[file]', 'log in combined format, plain or gzip; - or nothing: standard input')
    .option(
      '--post <folder or regexp>',
      'where the posts are: a folder such as /blog/, whose tags, pages of lists, feeds and files are no posts; or a regular expression of paths, whose group (?<slug>...) names the post',
    )
    .option('--create-posts', 'make posts of slugs that are none yet (needs --post)')
    .option(
      '--base-url <url>',
      'the address of the blog, such as https://blog.example: the posts that are made link there (needs --create-posts)',
    )
    .addHelpText(
      'after',
      `
Examples:
  popular-posts import-log access.log --post /blog/ --create-posts --base-url https://blog.example
  zcat access.log.*.gz | popular-posts import-log --post /blog/ --create-posts
  popular-posts import-log access.log --post '^/(?:news|blog)/(?<slug>[^/]+)/?$'

The folder of a blog whose posts are at /a-post/ or /2015/05/a-post/ is /.`,
    )
  return command.action(async (file: string | undefined, flags: Flags) => {
    const problem = await run(context, file, flags)
    if (problem !== undefined) command.error(`error: ${problem}`, { exitCode: 1 })
  })
}

/** @returns the sentence to fail with, if it failed. */
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

/** @returns the sentence to fail with, if the flags are wrong. */
function choose({ post, createPosts = false, baseUrl }: Flags): Choices | string {
  if (createPosts && post === undefined)
    return '--create-posts needs --post, such as --post /blog/: without it every image would become a post.'
  if (baseUrl !== undefined && !createPosts)
    return '--base-url needs --create-posts: it is for the addresses of the posts that are made.'
  try {
    return {
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
    const { db, timeZone, dedupSeconds, beforeCreatingPosts, address, close } = await openDatabase()
    const progress = createProgress(stderr, totalBytes)
    let summary: Summary
    try {
      summary = await importLog({
        ...choices,
        db,
        timeZone,
        dedupSeconds,
        nowMs: nowMs(),
        input,
        beforeCreatingPosts,
        onProgress: progress.update,
      })
    } catch (error) {
      progress.stop()
      // What closing fails with after that is of no interest.
      await close().catch(() => undefined)
      throw error
    }
    progress.stop()
    stdout.write(formatSummary(summary, { ...choices, address }))
    await close()
    return summary.stoppedBy && `${summary.stoppedBy.message} What was read until then has been counted.`
  } finally {
    input.destroy()
  }
}
