import { join } from 'node:path'
import { Client } from 'pg'
import type { Test } from 'tap'
import { type EmbeddedDatabase, type EmbeddedOptions, openEmbeddedDatabase } from '../../db/embedded/database.ts'
import { readPostmaster } from '../../db/embedded/postmaster-pid.ts'
import { endAtExit } from './services/reaper.ts'

/** The data folder of the embedded database in `directory`. */
export const dataOf = (directory: string) => join(directory, 'postgres', 'data')

/** The process id of the server in `directory`; 0 when none runs. */
export const pidOf = (directory: string) => readPostmaster(dataOf(directory))?.pid ?? 0

/** Opens an embedded database, whose server ends with the test. */
export async function open(
  t: Test,
  directory: string,
  options: Partial<EmbeddedOptions> = {},
): Promise<EmbeddedDatabase> {
  const database = await openEmbeddedDatabase({ directory, ...options })
  endAtExit(pidOf(directory))
  t.teardown(() => database.close())
  return database
}

/** The first value of the first row, as text. */
export async function query(database: EmbeddedDatabase, text: string): Promise<string> {
  const client = new Client({ connectionString: database.connectionString })
  await client.connect()
  const { rows } = await client.query({ text, rowMode: 'array' })
  await client.end()
  return String(rows[0]?.[0])
}
