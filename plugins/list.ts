import { createHash } from 'node:crypto'

/** A list ready to be sent: the bytes of a JSON array, and the strong entity tag of just these bytes. */
export interface ListBody {
  body: Buffer
  /** RFC 9110, quotes included. */
  etag: string
}

const NEWLINE = 0x0a
const [OPEN, COMMA, CLOSE] = [Buffer.from('['), Buffer.from(','), Buffer.from(']')]

/**
 * A list as the cache holds it: one JSON text a line. JSON has no raw line breaks, so every shorter list is the first
 * lines of a longer one, byte for byte, and no JSON is parsed or written to answer from it.
 */
export function encodeList(items: readonly object[]): Uint8Array {
  return Buffer.from(items.map((item) => JSON.stringify(item)).join('\n'))
}

/** A stored list, taken apart once; what is made of it is kept. */
export class DecodedList {
  readonly #lines: Buffer[]
  readonly #bodies = new Map<number, ListBody>()
  #slugs: unknown[] | undefined

  constructor(bytes: Uint8Array) {
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#lines = []
    for (let start = 0; start < all.length; ) {
      const newline = all.indexOf(NEWLINE, start)
      const end = newline === -1 ? all.length : newline
      this.#lines.push(all.subarray(start, end))
      start = end + 1
    }
  }

  /**
   * The first items, as a JSON array.
   * @param limit how many at most; the whole list when left out.
   * @param exclude slugs of items to pass over.
   */
  body(limit: number = this.#lines.length, exclude: readonly string[] = []): ListBody {
    if (exclude.length > 0) {
      const slugs = this.#slugsOfLines()
      return toBody(this.#lines.filter((_line, index) => !exclude.includes(String(slugs[index]))).slice(0, limit))
    }
    const count = Math.min(limit, this.#lines.length)
    const made = this.#bodies.get(count)
    if (made !== undefined) return made
    const body = toBody(this.#lines.slice(0, count))
    this.#bodies.set(count, body)
    return body
  }

  #slugsOfLines(): unknown[] {
    this.#slugs ??= this.#lines.map((line) => (JSON.parse(line.toString()) as { slug?: unknown }).slug)
    return this.#slugs
  }
}

function toBody(lines: readonly Buffer[]): ListBody {
  const parts: Buffer[] = [OPEN]
  for (const [index, line] of lines.entries()) parts.push(...(index === 0 ? [line] : [COMMA, line]))
  const body = Buffer.concat([...parts, CLOSE])
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 27)}"` }
}
