/** A record of a CSV file, and the number of its first line, from 1. */
export interface CsvRecord {
  line: number
  fields: string[]
}

const DELIMITERS = [',', ';', '\t', '|']

/** The most characters of a record. A longer one has a quote that is not closed. */
const MAX_RECORD = 1024 * 1024

/**
 * Reads CSV (RFC 4180) piece by piece: fields in double quotes may have delimiters, line ends and doubled quotes. Lines
 * end with LF or CRLF. Empty lines are left out. The delimiter is the one of `,`, `;`, tab and `|` that the first line that is no comment
 * has most often.
 * @throws an error for the user, if a quote is not closed.
 */
export async function* csvRecords(pieces: AsyncIterable<string>): AsyncGenerator<CsvRecord[], void> {
  let head = ''
  let parser: ReturnType<typeof createParser> | undefined
  for await (const piece of pieces) {
    head += piece
    if (parser === undefined) {
      const line = FIRST_LINE.exec(head)
      if (line === null && head.length < MAX_RECORD) continue
      parser = createParser(delimiterOf(line?.[0] ?? ''))
    }
    yield parser.push(head)
    head = ''
  }
  parser ??= createParser(delimiterOf(head))
  yield [...parser.push(head), ...parser.end()]
}

/** The first line that is neither empty nor a comment, with its end. */
const FIRST_LINE = /^(?!#)[^\S\n]*\S.*\n/m

function delimiterOf(line: string): string {
  const plain = line.replace(/"[^"]*"/g, '')
  const count = (delimiter: string) => plain.split(delimiter).length
  return DELIMITERS.reduce((best, each) => (count(each) > count(best) ? each : best))
}

function createParser(delimiter: string) {
  let records: CsvRecord[] = []
  let fields: string[] = []
  let field = ''
  let size = 0
  let line = 1
  let begunAt = 1
  /** `after`: behind a quote, which ends the field, or is the first half of a doubled one. */
  let state: 'start' | 'plain' | 'quoted' | 'after' = 'start'

  function endField(): void {
    fields.push(field)
    field = ''
    state = 'start'
  }

  function endRecord(): void {
    if (field.endsWith('\r')) field = field.slice(0, -1)
    endField()
    if (fields.length > 1 || fields[0] !== '') records.push({ line: begunAt, fields })
    fields = []
    size = 0
    begunAt = line
  }

  function take(character: string): void {
    if (++size > MAX_RECORD) throw new Error(`Line ${begunAt} has a quote that is not closed, or is no CSV.`)
    if (state === 'quoted') {
      if (character === '"') state = 'after'
      else field += character
    } else if (character === '"' && state !== 'plain') {
      if (state === 'after') field += character
      state = 'quoted'
    } else if (character === delimiter) endField()
    else if (character === '\n') endRecord()
    else {
      field += character
      state = 'plain'
    }
  }

  return {
    push(text: string): CsvRecord[] {
      records = []
      for (const character of text) {
        if (character === '\n') line++
        take(character)
      }
      return records
    },
    /** The last record, if it has no line end. */
    end(): CsvRecord[] {
      if (state === 'quoted') throw new Error(`Line ${begunAt} has a quote that is not closed: the file is cut off.`)
      records = []
      endRecord()
      return records
    },
  }
}
