import { LRUCache } from 'lru-cache'
import { ListBody } from './list-body.ts'

const NEWLINE = 0x0a
const [OPEN, COMMA, CLOSE] = [Buffer.from('['), Buffer.from(','), Buffer.from(']')]

/** What is made of a list and kept may take so many times its own bytes (not counting what is compressed). */
const MAX_BODIES_RATIO = 3

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
  readonly #bodies: LRUCache<string, ListBody>
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
    // Brackets are more than the list, where that is short.
    const maxSize = MAX_BODIES_RATIO * (all.length + 2)
    this.#bodies = new LRUCache({ maxSize, sizeCalculation: ({ body }) => body.length })
  }

  /**
   * The first items, as a JSON array.
   * @param limit how many at most; the whole list when left out.
   * @param exclude slugs of items to pass over.
   */
  body(limit: number = this.#lines.length, exclude: readonly string[] = []): ListBody {
    const wanted = Math.min(limit, this.#lines.length)
    const passedOver = exclude.length === 0 ? [] : this.#passedOver(wanted, exclude)
    const name = passedOver.length === 0 ? String(wanted) : `${wanted} without ${passedOver.join()}`
    const made = this.#bodies.get(name)
    if (made !== undefined) return made
    const lines = this.#lines.slice(0, wanted + passedOver.length)
    const body = toBody(passedOver.length === 0 ? lines : lines.filter((_line, place) => !passedOver.includes(place)))
    this.#bodies.set(name, body)
    return body
  }

  /** The places of the excluded items that come before the last of so many others. */
  #passedOver(wanted: number, exclude: readonly string[]): number[] {
    this.#slugs ??= this.#lines.map((line) => (JSON.parse(line.toString()) as { slug?: unknown }).slug)
    const excluded = new Set<unknown>(exclude)
    const places: number[] = []
    for (let place = 0; place - places.length < wanted && place < this.#slugs.length; place += 1)
      if (excluded.has(this.#slugs[place])) places.push(place)
    return places
  }
}

function toBody(lines: readonly Buffer[]): ListBody {
  const parts: Buffer[] = [OPEN]
  for (const [index, line] of lines.entries()) parts.push(...(index === 0 ? [line] : [COMMA, line]))
  return new ListBody(Buffer.concat([...parts, CLOSE]))
}
