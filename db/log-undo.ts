import { type Kysely, sql } from 'kysely'
import { applyChanges, type Counting, changesOf } from './log-imports.ts'
import { judgeChange, lockLedger, readImport, writeChains } from './log-ledger.ts'
import type { Database } from './schema.ts'

/** What an undo did. */
export interface Undo {
  /** The log, and the time of the import. */
  source: string
  startedAt: Date
  /** The views that were taken from the counters. */
  views: number
}

/** Later imports that had visits of this one: undone, it would take them from these imports, too. */
export class ImportNeeded extends Error {
  override readonly name = 'ImportNeeded'
  readonly ids: readonly string[]
  constructor(ids: readonly string[]) {
    super(`later imports have lines of this import: ${ids.join(', ')}`)
    this.ids = ids
  }
}

/**
 * Takes the visits that an import brought out of the ledger and the counters, as if it had not been. Posts that it
 * created stay.
 * @returns `undefined`: the database has no import of this id.
 * @throws ImportNeeded; the error of PostgreSQL: a part may be undone, and a second call undoes the rest.
 */
export async function undoImport(
  db: Kysely<Database>,
  { id, timeZone, nowMs, dedupSeconds }: Counting & { id: string },
): Promise<Undo | undefined> {
  const undo = { views: 0 }
  for (;;) {
    const step = await db.transaction().execute(async (trx) => {
      await lockLedger(trx)
      const found = await trx.selectFrom('post_views_log_import').selectAll().where('id', '=', id).executeTakeFirst()
      if (found === undefined) return undefined
      const later = await trx
        .selectFrom('post_views_log_import')
        .select('id')
        .where(sql<boolean>`${id}::bigint = any(known_from)`)
        .orderBy('id')
        .execute()
      if (later.length > 0) throw new ImportNeeded(later.map((one) => String(one.id)))
      const { rows, visits } = await readImport(trx, id)
      if (rows.size === 0) {
        await trx.deleteFrom('post_views_log_import').where('id', '=', id).execute()
        return { found, isDone: true, views: 0 }
      }
      const change = { added: [], removed: visits, removedRows: rows, windowMs: dedupSeconds * 1000 }
      const chains = await judgeChange(trx, change)
      await writeChains(trx, chains, id)
      await trx
        .deleteFrom('post_views_log_visits')
        .where('id', 'in', [...rows])
        .execute()
      const changes = changesOf(chains)
      await applyChanges(trx, { timeZone, nowMs }, changes)
      return { found, isDone: false, views: changes.reduce((sum, { views }) => sum - views, 0) }
    })
    if (step === undefined) return undefined
    undo.views += step.views
    if (step.isDone) return { source: step.found.source, startedAt: step.found.started_at, views: undo.views }
  }
}
