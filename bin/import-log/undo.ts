import { ImportNeeded, undoImport } from '../../db/log-undo.ts'
import { StartupError } from '../../lib/errors.ts'
import { plural } from '../../lib/plural.ts'

/**
 * Undoes an import.
 * @returns a sentence that says what was undone.
 * @throws StartupError if there is no such import, or if later imports need it.
 */
export async function undo(options: Parameters<typeof undoImport>[1] & { db: Parameters<typeof undoImport>[0] }) {
  const { db, id } = options
  const undone = await undoImport(db, options).catch((error: unknown) => {
    if (!(error instanceof ImportNeeded)) throw error
    const [last = ''] = error.ids.toReversed()
    throw new StartupError(
      `Nothing was undone: later imports have lines of import ${id}, which would then not be counted any more (${error.ids.join(', ')}). Undo these first, the last one first (--undo ${last}), and import their logs again.`,
    )
  })
  if (undone === undefined)
    throw new StartupError(
      `There is no import ${id} in this database: the summary of an import shows its id, and an import that is undone has none.`,
    )
  const { views, source, startedAt } = undone
  return `Import ${id} (${source}, ${startedAt.toISOString()}) is undone: ${plural(views, 'view')} less. Posts that it created stay.\n`
}
