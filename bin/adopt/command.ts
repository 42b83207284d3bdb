import { readFile } from 'node:fs/promises'
import type { Readable, Writable } from 'node:stream'
import { Command } from 'commander'
import type { Kysely } from 'kysely'
import type { DatabaseProblem } from '../../db/content-problems.ts'
import type { Database } from '../../db/schema.ts'
import { messageOf, StartupError } from '../../lib/errors.ts'
import { plural } from '../../lib/plural.ts'
import { applyScript, dropViews, keptScript } from './apply.ts'
import { askOn, settle } from './ask.ts'
import { readCatalog } from './catalog.ts'
import { problemsOf } from './check.ts'
import { normalized } from './names.ts'
import { type Choices, FLAGS, type Flag } from './proposal.ts'
import { writeSql } from './write-sql.ts'

/** The streams and the database of the command. */
export interface AdoptContext {
  stdin: Readable & { isTTY?: boolean }
  stdout: Writable
  stderr: Writable
  /** Opens the database of the blog, migrated or not. */
  openDatabase(): Promise<AdoptDatabase>
}

export interface AdoptDatabase {
  /** Names of this package are looked up in `schema`. */
  db: Kysely<Database>
  /** The schema of this package: it need not exist. */
  schema: string
  close(): Promise<void>
}

type Flags = Partial<Record<Flag, string>> & { grant?: string; apply?: string | true; drop?: true; check?: true }

/**
 * The command `adopt`: prints the SQL that connects a blog's own tables. Problems that `--check` finds, and wrong
 * arguments, exit with code 1.
 */
export function adoptCommand(context: AdoptContext): Command {
  const command = new Command('adopt').description(
    'finds the posts in the tables of a blog, and prints the SQL that connects them (see docs/adopt.md)',
  )
  for (const [flag, description] of Object.entries(FLAGS))
    command.option(`--${normalized(flag).replaceAll('_', '-')} <value>`, description)
  command
    .option('--grant <role>', 'the role that runs the service, if it is another one: adds its rights')
    .option('--apply [file]', 'runs the SQL: of a file, of the last time, or the one that is printed without this flag')
    .option('--drop', 'drops the views and triggers, for a change of your tables; --apply puts them back')
    .option('--check', 'says what does not fit in the views of an adopted blog')
  return command.action(async (flags: Flags) => {
    const { apply, drop, check } = flags
    if ([apply, drop, check].filter((flag) => flag !== undefined).length > 1)
      command.error('error: expected one of --apply, --drop and --check', { exitCode: 1 })
    if (isChosen(flags) && (drop || check || typeof apply === 'string'))
      command.error('error: flags that choose tables and columns have no effect here: remove them', { exitCode: 1 })
    const database = await context.openDatabase()
    const problem = await run(context, database, flags).finally(database.close)
    if (problem !== undefined) command.error(`error: ${problem}`, { exitCode: 1 })
  })
}

/** @returns the error message, if it failed. */
async function run(context: AdoptContext, database: AdoptDatabase, flags: Flags): Promise<string | undefined> {
  const { apply, drop, check, grant, ...choices } = flags
  const { db, schema } = database
  const print = (text: string) => void context.stdout.write(`${text}\n`)
  const report = (problems: readonly DatabaseProblem[]) => {
    for (const { subject, message } of problems) print(`${subject}: ${message}.`)
  }
  if (check) {
    const problems = await problemsOf(db)
    report(problems)
    if (problems.length > 0) return plural(problems.length, 'problem')
    print('The views fit.')
  } else if (drop) {
    await dropViews(db, schema)
    print(`The views and triggers of the schema ${schema} were dropped. "popular-posts adopt --apply" puts them back.`)
  } else if (apply === undefined) {
    context.stdout.write(await proposed(context, database, choices, grant))
  } else {
    report(await applyScript(db, schema, await scriptOf(context, database, flags)))
    print(`The blog is connected: its views and triggers are in the schema ${schema}.`)
  }
  return undefined
}

/** The SQL to apply: that of a file; if flags choose, or if there was none, the proposed one; else that of the last time. */
async function scriptOf(context: AdoptContext, database: AdoptDatabase, flags: Flags): Promise<string> {
  const { apply, grant, ...choices } = flags
  if (typeof apply === 'string') return read(apply)
  const kept = isChosen(flags) ? undefined : await keptScript(database.db, database.schema)
  return kept ?? proposed(context, database, choices, grant)
}

const isChosen = (flags: Flags) => Object.keys(flags).some((flag) => flag in FLAGS || flag === 'grant')

async function proposed(
  { stdin, stderr }: AdoptContext,
  { db, schema }: Pick<AdoptDatabase, 'db' | 'schema'>,
  choices: Choices,
  grant: string | undefined,
): Promise<string> {
  const tables = await readCatalog(db, schema)
  const terminal = stdin.isTTY === true ? askOn(stdin, stderr) : undefined
  const proposal = await settle(tables, choices, terminal?.ask).finally(terminal?.close)
  return writeSql(proposal, { schema, grant })
}

async function read(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new StartupError(`Cannot open ${file}: ${messageOf(error)}`)
  })
}
