import { PassThrough, Readable } from 'node:stream'
import { Command, CommanderError } from 'commander'
import type { Kysely } from 'kysely'
import { sql } from 'kysely'
import { exportCountsCommand } from '../../bin/export-counts/command.ts'
import { importCountsCommand } from '../../bin/import-counts/command.ts'
import { type ImportCountsOptions, importCounts } from '../../bin/import-counts/import-counts.ts'
import type { Database } from '../../db/schema.ts'

/** Imports texts as the files `0`, `1`, … of one export. */
export function importTexts(
  db: Kysely<Database>,
  texts: string | string[],
  options: Partial<ImportCountsOptions> = {},
) {
  const files = [texts]
    .flat()
    .map((text, index) => ({ name: String(index), input: Readable.from([Buffer.from(text)]) }))
  return importCounts({ db, files, timeZone: 'UTC', nowMs: Date.now(), ...options })
}

interface Surroundings {
  db?: Kysely<Database>
  timeZone?: string
  stdin?: string | Buffer
  isTTY?: boolean
  nowMs?: number
}

/** Runs `popular-posts import-counts` or `export-counts`; `code` is its exit code, `closed` what its database was closed with. */
export async function runCounts(
  args: string[],
  { db, timeZone = 'UTC', stdin, isTTY = false, nowMs = Date.now() }: Surroundings,
) {
  const outputs = { stdout: '', stderr: '' }
  const stream = (name: keyof typeof outputs) => {
    const output = new PassThrough()
    output.on('data', (text) => {
      outputs[name] += text
    })
    return Object.assign(output, { isTTY })
  }
  const [stdout, stderr] = [stream('stdout'), stream('stderr')]
  const closed: (boolean | undefined)[] = []
  const openDatabase = async () => {
    if (db === undefined) throw new Error('the database was opened')
    const close = async (isChanged?: boolean) => void closed.push(isChanged)
    return {
      db,
      timeZone,
      days: undefined,
      address: 'http://127.0.0.1:3000',
      close,
      beforeCreatingPosts: async () => {},
    }
  }
  const input = stdin === undefined ? Object.assign(Readable.from([]), { isTTY: true }) : Readable.from([stdin])
  const program = new Command('popular-posts')
  for (const command of [
    importCountsCommand({ openDatabase, stdin: input, stdout, stderr, nowMs: () => nowMs }),
    exportCountsCommand({ openDatabase, stdout }),
  ]) {
    command
      .exitOverride()
      .configureOutput({ writeErr: (text) => stderr.write(text), writeOut: (text) => stdout.write(text) })
    program.addCommand(command)
  }
  try {
    await program.parseAsync(args, { from: 'user' })
    return { ...outputs, code: 0, closed }
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    return { ...outputs, code: error.exitCode, closed }
  }
}

/** All counters by slug, to compare two states: days, hours and totals. */
export async function readAllCounters(db: Kysely<Database>): Promise<Record<string, string>> {
  const { rows } = await sql<{ key: string; views: string }>`
    select slug || ' ' || day as key, views::text from ${sql.table('post_views_daily')} join ${sql.table('posts')} on posts.id = post_id
    union all
    select slug || ' ' || to_char(hour at time zone 'UTC', 'YYYY-MM-DD HH24'), views::text
    from ${sql.table('post_views_hourly')} join ${sql.table('posts')} on posts.id = post_id
    union all select slug, views::text from ${sql.table('post_views_total')} join ${sql.table('posts')} on posts.id = post_id
    order by 1`.execute(db)
  return Object.fromEntries(rows.map(({ key, views }) => [key, views]))
}

/** The heat of each post by slug. */
export async function readHeats(db: Kysely<Database>): Promise<Record<string, number>> {
  const { rows } = await sql<{ slug: string; heat: number }>`
    select slug, heat from ${sql.table('post_views_total')} join ${sql.table('posts')} on posts.id = post_id`.execute(
    db,
  )
  return Object.fromEntries(rows.map(({ slug, heat }) => [slug, heat]))
}
