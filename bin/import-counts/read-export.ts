import { messageOf } from '../../lib/errors.ts'
import { csvRecords } from './csv.ts'
import { ExportError } from './export-error.ts'
import { describeNeeds, type Format, recogniseFormat } from './formats.ts'
import { jsonValues } from './json-values.ts'
import { readText } from './read-text.ts'
import { createUnfolder, type Fields } from './unfold.ts'

/** A row of an export, with the number of its line; of JSON, with the number of its value. */
export interface ExportRow {
  line: number
  fields: Fields
  format: Format
}

/** A file of an export. */
export interface ExportFile {
  /** Its name, for messages. */
  name: string
  input: AsyncIterable<Uint8Array | string>
}

/**
 * Reads the rows of an export in batches. The format is recognised by the columns. Of a CSV file with several tables, after lines
 * that begin with `#`, those are left out that have no views of pages.
 * @param from the name of the format, if the user gave it.
 * @throws an error for the user, if the file is no export of a known format, is packed, or is cut off.
 */
export async function* readExport(
  { name, input }: ExportFile,
  from: string | undefined,
  onBytes: (bytes: number) => void,
): AsyncGenerator<ExportRow[], void> {
  const recognise = (columns: readonly string[]) => recogniseFormat(columns, from)
  const seen: Seen = { columns: undefined }
  let isFound = false
  for await (const batch of readTables({ name, input }, recognise, seen, onBytes)) {
    isFound ||= batch.length > 0
    yield batch
  }
  if (isFound) return
  const expected =
    from === undefined
      ? 'CSV or JSON with columns such as slug or path, day and views (see docs/import-counts.md)'
      : `an export of ${from} with the columns ${describeNeeds(from)}`
  throw new ExportError(`${name}: expected ${expected}, got ${describe(seen)}.`)
}

/** The columns of the ids and slugs of posts; of WordPress they are `ID` and `post_name`. */
const POSTS: Format = { name: 'ids', needs: [['id'], ['slug', 'post_name']] }

/**
 * Reads the slugs of ids from CSV or JSON.
 * @throws ExportError if it has none.
 */
export async function readSlugs(file: ExportFile): Promise<Map<string, string>> {
  const slugs = new Map<string, string>()
  const seen: Seen = { columns: undefined }
  const recognise = (columns: readonly string[]) =>
    columns.includes('id') && (columns.includes('slug') || columns.includes('post_name')) ? POSTS : undefined
  for await (const batch of readTables(file, recognise, seen, () => {}))
    for (const { fields } of batch) {
      const slug = fields['slug'] ?? fields['post_name']
      if (fields['id'] !== undefined && slug !== undefined && slug !== '') slugs.set(fields['id'], slug)
    }
  if (slugs.size === 0)
    throw new ExportError(`${file.name}: expected the columns id and slug, or ID and post_name, got ${describe(seen)}.`)
  return slugs
}

function describe({ columns }: Seen): string {
  return columns === undefined ? 'no rows' : `the columns ${columns}`
}

type Recognise = (columns: readonly string[]) => Format | undefined

/** @throws ExportError if the file cannot be read to its end. */
async function* readTables(
  { name, input }: ExportFile,
  recognise: Recognise,
  seen: Seen,
  onBytes: (bytes: number) => void,
): AsyncGenerator<ExportRow[], void> {
  try {
    yield* rowsOf(withoutEmptyStart(readText(input, onBytes)), recognise, seen)
  } catch (error) {
    throw new ExportError(`${name}: ${messageOf(error)}`, { cause: error })
  }
}

/** The columns of a table that was not recognised, for the error. */
interface Seen {
  columns: string | undefined
}

async function* withoutEmptyStart(pieces: AsyncIterable<string>): AsyncGenerator<string, void> {
  let head = ''
  let isBegun = false
  for await (const piece of pieces) {
    if (isBegun) yield piece
    else {
      head += piece
      isBegun = head.trim() !== ''
      if (isBegun) yield head
    }
  }
}

async function* rowsOf(
  pieces: AsyncGenerator<string, void>,
  recognise: Recognise,
  seen: Seen,
): AsyncGenerator<ExportRow[], void> {
  const first = await pieces.next()
  if (first.done === true) return
  const { value: head } = first
  async function* all() {
    yield head
    yield* pieces
  }
  yield* /^\s*[[{]/.test(head) ? jsonRows(all(), recognise, seen) : csvRows(all(), recognise, seen)
}

async function* jsonRows(
  pieces: AsyncIterable<string>,
  recognise: Recognise,
  seen: Seen,
): AsyncGenerator<ExportRow[], void> {
  const unfold = createUnfolder()
  let format: Format | undefined
  for await (const values of jsonValues(pieces)) {
    const rows = values.flatMap(({ line, value }) => unfold(value).map((fields) => ({ line, fields })))
    yield rows.flatMap((row) => {
      const columns = Object.keys(row.fields)
      format ??= recognise(columns)
      if (format !== undefined) return { ...row, format }
      seen.columns ??= columns.join(', ')
      return []
    })
  }
}

async function* csvRows(
  pieces: AsyncIterable<string>,
  recognise: Recognise,
  seen: Seen,
): AsyncGenerator<ExportRow[], void> {
  let columns: string[] | undefined
  let format: Format | undefined
  for await (const records of csvRecords(pieces)) {
    const rows: ExportRow[] = []
    for (const { line, fields } of records) {
      if (fields[0]?.startsWith('#') === true && fields.length !== columns?.length) columns = undefined
      else if (columns === undefined) {
        columns = fields.map((name) => name.trim().toLowerCase())
        format = recognise(columns)
        if (format === undefined) seen.columns ??= columns.join(', ')
      } else if (format !== undefined) {
        const named = columns.map((column, index) => [column, fields[index] ?? ''])
        rows.push({ line, fields: Object.fromEntries(named) as Fields, format })
      }
    }
    yield rows
  }
}
