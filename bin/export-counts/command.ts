import type { Writable } from 'node:stream'
import { promisify } from 'node:util'
import { Command, Option } from 'commander'
import type { Kysely } from 'kysely'
import { type ExportedCounter, exportCounters } from '../../db/export-counts.ts'
import type { Database } from '../../db/schema.ts'

/** Where the command reads and writes. */
interface ExportCountsContext {
  /** Opens the migrated database; the command closes it. */
  openDatabase(): Promise<{ db: Kysely<Database>; timeZone: string; close(): Promise<void> }>
  stdout: Writable
}

const COLUMNS = ['slug', 'day', 'hour', 'views', 'heat'] as const

/** The command `export-counts`: writes all counters to stdout, as CSV or JSON lines. Errors of the database are thrown. */
export function exportCountsCommand({ openDatabase, stdout }: ExportCountsContext): Command {
  return new Command('export-counts')
    .description('writes the views of all posts, by day and of all time, as import-counts reads them')
    .addOption(new Option('--format <format>', 'CSV, or JSON lines').choices(['csv', 'json']).default('csv'))
    .addHelpText(
      'after',
      `
Example:
  popular-posts export-counts > counts.csv

A row without a day is the total of all time. The views of a day are the sum of its rows.`,
    )
    .action(async ({ format }: { format: 'csv' | 'json' }) => {
      const lineOf = format === 'csv' ? csvLine : jsonLine
      // Waits for the reader: a pipe may be slower than the database.
      const write = promisify((text: string, done: (error?: Error | null) => void) => void stdout.write(text, done))
      const { db, timeZone, close } = await openDatabase()
      try {
        if (format === 'csv') await write(`${COLUMNS.join()}\n`)
        await exportCounters(db, { timeZone }, async (rows) => {
          await write(rows.map(lineOf).join(''))
        })
      } finally {
        await close()
      }
    })
}

function csvLine(row: ExportedCounter): string {
  return `${COLUMNS.map((column) => csvField(row[column] ?? '')).join()}\n`
}

function csvField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function jsonLine({ slug, day, hour, views, heat }: ExportedCounter): string {
  // A greater number loses digits in most programs.
  const number = Number.isSafeInteger(Number(views)) ? Number(views) : views
  return `${JSON.stringify({ slug, day, hour, views: number, heat: heat === null ? null : Number(heat) })}\n`
}
