import type { Readable, Writable } from 'node:stream'
import { Command } from 'commander'
import type { Kysely, Transaction } from 'kysely'
import { rehearse } from '../../db/log-imports.ts'
import type { Database } from '../../db/schema.ts'
import { startOfDay } from '../../db/time-zone.ts'
import { messageOf } from '../../lib/errors.ts'
import { storeSums } from '../store-sums.ts'
import { type Choices, choose, type Flags } from './choices.ts'
import { formatJson, formatSummary, refusalOf } from './format-summary.ts'
import { FORMATS } from './formats/formats.ts'
import type { Summary } from './import-log.ts'
import { type LogSource, openSource } from './log-source.ts'
import { createProgress } from './progress.ts'
import type { TimeChoice } from './times.ts'
import { undo } from './undo.ts'
import { createPages } from './unmatched.ts'

/** The streams, the clock and the database of the command. */
interface ImportLogContext {
  /** Names the database that is written to, without a password; `isMissing`: opening it would create it. */
  findDatabase(): Promise<{ name: string; isMissing: boolean }>
  /** Opens the migrated database: called once, after the arguments were checked. The command closes it. */
  openDatabase(): Promise<ImportLogDatabase>
  stdin: Readable & { isTTY?: boolean }
  stdout: Writable
  stderr: Writable & { isTTY?: boolean }
  /** The present, in milliseconds since the epoch. */
  nowMs(): number
  /** Is aborted when the user ends the command (Ctrl-C, SIGTERM). The command reads it once. */
  readonly signal: AbortSignal
}

interface ImportLogDatabase {
  db: Kysely<Database>
  /** The site's IANA time zone. */
  timeZone: string
  dedupSeconds: number
  /** The option `ignore`. */
  ignore: readonly string[]
  /** The option `days`. */
  days: readonly number[] | undefined
  /** See `ImportLogOptions`. */
  beforeCreatingPosts?: ((trx: Transaction<Database>) => Promise<void>) | undefined
  /** The address of the service, by the environment. */
  address: string
  /** @param hasChanged whether counters may have changed. */
  close(hasChanged: boolean): Promise<void>
}

/** An error for the user, and the exit code. */
interface Problem {
  message: string
  exitCode: number
}

/** The exit code of a program that SIGINT ended. */
const INTERRUPTED = 130

/**
 * The command `import-log [logs...]`. The name of the database and the summary go to stdout, the progress bar and errors
 * to stderr; with `--json` only the summary goes to stdout. Wrong arguments, a file that cannot be opened and a log that
 * cannot be read to its end print one sentence and exit with code 1 (commander's `error`), an interrupted import with
 * code 130, but with `--follow` code 0; errors of the database are thrown.
 */
export function importLogCommand(context: ImportLogContext): Command {
  const command = new Command('import-log')
    .description('counts the views in access logs of web servers; no line is counted twice')
    .argument('[logs...]', 'files, plain or compressed, and folders of them; - or none: standard input')
    .option(
      '--post <folder, parameter or regexp>',
      "the addresses of posts: a folder such as /blog/ (tags, pages of lists, feeds and files in it are not posts), a parameter such as '/?p=' for /?p=123, or a regular expression for paths whose group (?<slug>...) is the slug of the post",
    )
    .option('--create-posts', 'create posts for unknown slugs (needs --post)')
    .option(
      '--base-url <url>',
      'the address of the blog, such as https://blog.example: created posts link there (needs --create-posts)',
    )
    .option('--since <time>', 'count only requests from this day (2015-05-17) or time (2015-05-17T10:05:03Z) on')
    .option('--until <time>', 'count only requests before this day or time')
    .option(
      '--host <name>',
      'count only requests to this host; several with commas, or with several --host',
      (name: string, names: string[] = []) => [...names, name],
    )
    .option('--dry-run', 'change nothing: show what would be counted, and which paths --post does not match')
    .option('--follow', 'go on with what servers write into the files, also after rotations, until Ctrl-C or SIGTERM')
    .option('--json', 'print the summary as JSON')
    .option('--undo <id>', 'take back the views of an earlier import')
    .option('--anyway', 'count lines that an earlier version of this package may have counted')
    .option('--new-database', 'create the embedded database in DATA_DIR, if there is none')
    .option(
      '--format <name or string>',
      `the format of the lines: ${FORMATS.map(({ name }) => name).join(', ')}, or the format string of nginx or Apache (default: recognised)`,
    )
    .addHelpText(
      'after',
      `
Examples:
  popular-posts import-log access.log --post /blog/ --create-posts --base-url https://blog.example
  popular-posts import-log /var/log/nginx --post /blog/ --dry-run
  zcat access.log.*.gz | popular-posts import-log --post /blog/ --create-posts
  popular-posts import-log access.log --format '$remote_addr [$time_iso8601] "$request" $status' --post /blog/
  popular-posts import-log access.log --post '^/(?:news|blog)/(?<slug>[^/]+)/?$'
  popular-posts import-log access.log --post '/?p=' --create-posts
  popular-posts import-log /var/log/nginx/access.log --follow --post /blog/
  popular-posts import-log --undo 3

If the posts are at /a-post/ or /2015/05/a-post/, the folder is /.`,
    )
  return command.action(async (paths: string[], flags: Flags) => {
    const problem = await run(context, paths, flags)
    if (problem !== undefined) command.error(`error: ${problem.message}`, { exitCode: problem.exitCode })
  })
}

const failure = (message: string): Problem => ({ message, exitCode: 1 })

async function run(context: ImportLogContext, paths: string[], flags: Flags): Promise<Problem | undefined> {
  const choices = choose(flags, paths)
  if (typeof choices === 'string') return failure(choices)
  // Before anything takes time: from here on Ctrl-C ends with a summary.
  const { signal, stdin, stderr, nowMs } = context
  if (choices.undo !== undefined) return work(context, choices, choices.undo, signal)
  if (paths.length === 0 && stdin.isTTY === true) return failure('Expected a log: name a file, or pipe one in.')
  const warn = (sentence: string) => void stderr.write(`${sentence}\n`)
  let source: LogSource
  try {
    source = await openSource(paths, { isFollowing: choices.isFollowing, stdin, nowMs, signal, warn })
  } catch (error) {
    return failure(messageOf(error))
  }
  try {
    return await work(context, choices, source, signal)
  } finally {
    await source.close()
  }
}

/**
 * Opens the database, imports or undoes, and closes it.
 * @param task logs, or the id of the import to undo.
 */
async function work(
  context: ImportLogContext,
  choices: Choices,
  task: LogSource | string,
  signal: AbortSignal,
): Promise<Problem | undefined> {
  const { stdout, stderr, findDatabase, openDatabase } = context
  const { name, isMissing } = await findDatabase()
  if (isMissing && !choices.newDatabase)
    return failure(
      `There is no database yet (${name}): start the service once, or create it with --new-database. If the service has another one, set DATABASE_URL or DATA_DIR to it.`,
    )
  const said = choices.isJson ? stderr : stdout
  said.write(`Database: ${name}\n`)
  const database = await openDatabase()
  let problem: Problem | undefined
  try {
    if (typeof task === 'string') {
      const { db, timeZone, dedupSeconds } = database
      stdout.write(await undo({ db, id: task, timeZone, dedupSeconds, nowMs: context.nowMs() }))
    } else {
      if (task.isFollowed) said.write(`Following ${task.names.join(', ')}: Ctrl-C ends it.\n`)
      problem = await importFrom(context, database, choices, task, signal)
    }
  } catch (error) {
    // The first error is the one to report.
    await database.close(true).catch(() => undefined)
    throw error
  }
  const hasChanged = !choices.isDryRun
  const { db, timeZone, days: allowed } = database
  if (hasChanged && !signal.aborted) await storeSums(db, { timeZone, allowed }, stderr)
  await database.close(hasChanged)
  return problem
}

async function importFrom(
  { stdout, stderr, nowMs }: ImportLogContext,
  database: ImportLogDatabase,
  choices: Choices,
  source: LogSource,
  signal: AbortSignal,
): Promise<Problem | undefined> {
  const { db, timeZone, dedupSeconds, ignore, beforeCreatingPosts, address } = database
  const { post, createPosts, baseUrl, anyway, isDryRun } = choices
  const pages = createPages()
  const progress = createProgress(stderr, source.bytes)
  const timeOf = async (choice: TimeChoice | undefined) =>
    typeof choice === 'string' ? startOfDay(db, choice, timeZone) : choice
  const count = async (db: Kysely<Database>) => {
    const [sinceMs, untilMs] = [await timeOf(choices.since), await timeOf(choices.until)]
    return source.read(
      {
        db,
        post,
        createPosts,
        baseUrl,
        anyway,
        format: choices.format,
        hosts: choices.hosts,
        timeZone,
        dedupSeconds,
        ignore,
        beforeCreatingPosts,
        sinceMs,
        untilMs,
        nowMs,
        onRequest: isDryRun ? pages.add : undefined,
      },
      progress.update,
    )
  }
  let summary: Summary
  try {
    summary = await (isDryRun ? rehearse(db, count) : count(db))
  } finally {
    progress.stop()
  }
  const unmatched = isDryRun ? { paths: pages.topUnmatched(), post: pages.suggestedPost() } : undefined
  const circumstances = { ...choices, address, ignore, unmatched }
  stdout.write(choices.isJson ? formatJson(summary, unmatched) : formatSummary(summary, circumstances))
  if (signal.aborted && !source.isFollowed)
    return {
      message: 'Interrupted: the lines read until then were counted. Run the same command again to count the rest.',
      exitCode: INTERRUPTED,
    }
  const { stoppedBy, stoppedAt = 0 } = summary
  if (stoppedBy === undefined) {
    const refusal = refusalOf(summary)
    return refusal === undefined ? undefined : failure(refusal)
  }
  const where = source.names.length > 1 ? `${source.names[stoppedAt]}: ` : ''
  return failure(`${where}${stoppedBy.message} The lines before that were counted.`)
}
