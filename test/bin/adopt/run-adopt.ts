import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { CommanderError } from 'commander'
import { Kysely, PostgresDialect } from 'kysely'
import { Pool } from 'pg'
import { adoptCommand } from '../../../bin/adopt/command.ts'
import { inOwnSchema } from '../../../db/own-schema.ts'
import type { Database } from '../../../db/schema.ts'

/** The end of a run of `popular-posts adopt` in this process. */
export interface AdoptRun {
  /** The exit code of an error that the command reports; `undefined`: none. */
  code: number | undefined
  stdout: string
  stderr: string
}

/**
 * Runs `popular-posts adopt` in this process, which takes a tenth of the time of a process of its own.
 * @param answers lines on a terminal. Default: the command has no terminal.
 * @throws the errors of the command that its caller reports.
 */
export async function runAdopt(_t: unknown, url: string, args: readonly string[], answers?: string): Promise<AdoptRun> {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()]
  const output = { stdout: text(stdout), stderr: text(stderr) }
  if (answers !== undefined) stdin.end(answers)
  const at = args.indexOf('--schema')
  const schema = at < 0 ? 'popular_posts' : (args[at + 1] ?? '')
  const pool = new Pool({ connectionString: url, max: 2 })
  // pool.end() does not wait for its connections: the end of the test, which drops the database, can end one first.
  pool.on('error', () => undefined)
  const plain = new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
  let code: number | undefined
  const command = adoptCommand({
    stdin: Object.assign(stdin, { isTTY: answers !== undefined }),
    stdout,
    stderr,
    openDatabase: async () => ({
      db: inOwnSchema(plain, () => schema),
      schema,
      close: () => plain.destroy(),
    }),
  })
    .option('--schema <name>')
    .exitOverride()
    .configureOutput({ writeErr: (said) => void stderr.write(said) })
  try {
    await command.parseAsync([...args], { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    code = error.exitCode
  } finally {
    stdout.end()
    stderr.end()
  }
  return { code, stdout: await output.stdout, stderr: await output.stderr }
}
