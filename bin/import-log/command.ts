import { createReadStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { Command } from 'commander'
import type { Kysely, Transaction } from 'kysely'
import type { Database } from '../../db/schema.ts'
import { asError } from './as-error.ts'
import { formatSummary } from './format-summary.ts'
import { importLog } from './import-log.ts'
import { createProgress } from './progress.ts'
import { compilePostPattern } from './slug.ts'

/** What the command needs of the program around it. */
export interface ImportLogContext {
  /** Opens the migrated database: once, when the arguments are known to be right. The command closes it. */
  openDatabase(): Promise<ImportLogDatabase>
  stdin: Readable & { isTTY?: boolean }
  stdout: Writable
  stderr: Writable & { isTTY?: boolean }
  /** The present, in milliseconds since the epoch. */
  nowMs(): number
}

export interface ImportLogDatabase {
  db: Kysely<Database>
  /** The site's IANA time zone. */
  timeZone: string
  dedupSeconds: number
  /** See `ImportLogOptions`. */
  beforeCreatingPosts?: ((trx: Transaction<Database>) => Promise<void>) | undefined
  close(): Promise<void>
}

interface Flags {
  post?: string
  createPosts?: boolean
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
    .option('--post <regexp>', 'which paths are posts; the group (?<slug>...) names the post', undefined)
    .option('--create-posts', 'make posts of slugs that are none yet (needs --post)')
    .addHelpText(
      'after',
      "\nExample:\n  popular-posts import-log access.log --post '^/blog/(?<slug>[^/]+)$' --create-posts",
    )
  return command.action(async (file: string | undefined, flags: Flags) => {
    const problem = await run(context, file, flags)
    if (problem !== undefined) command.error(`error: ${problem}`, { exitCode: 1 })
  })
}

/** @returns the sentence to fail with, if it failed. */
async function run(context: ImportLogContext, file: string | undefined, flags: Flags): Promise<string | undefined> {
  let post: RegExp | undefined
  try {
    post = flags.post === undefined ? undefined : compilePostPattern(flags.post)
  } catch (error) {
    return asError(error).message
  }
  const createPosts = flags.createPosts === true
  if (createPosts && post === undefined) {
    return "--create-posts needs --post, such as --post '^/blog/(?<slug>[^/]+)$': without it every image would become a post."
  }
  if (file === undefined || file === '-') {
    if (context.stdin.isTTY === true) return 'Expected a log: name a file, or pipe one in.'
    return importFrom(context, context.stdin, undefined, { post, createPosts })
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
    return `Cannot open ${file}: ${asError(error).message}`
  }
  const input = createReadStream(file, { fd: handle, highWaterMark: 256 * 1024 })
  return importFrom(context, input, totalBytes, { post, createPosts })
}

async function importFrom(
  { openDatabase, stdout, stderr, nowMs }: ImportLogContext,
  input: Readable,
  totalBytes: number | undefined,
  { post, createPosts }: { post: RegExp | undefined; createPosts: boolean },
): Promise<string | undefined> {
  try {
    const { db, timeZone, dedupSeconds, beforeCreatingPosts, close } = await openDatabase()
    const progress = createProgress(stderr, totalBytes)
    try {
      const summary = await importLog({
        ...{ db, timeZone, dedupSeconds, nowMs: nowMs(), input, post, createPosts, beforeCreatingPosts },
        onProgress: progress.update,
      })
      progress.stop()
      stdout.write(formatSummary(summary, { hasPattern: post !== undefined, createsPosts: createPosts }))
      return summary.stoppedBy && `${summary.stoppedBy.message} What was read until then has been counted.`
    } finally {
      progress.stop()
      await close()
    }
  } finally {
    input.destroy()
  }
}
