import { LRUCache } from 'lru-cache'
import { ListBody } from './list-body.ts'

const NEWLINE = 0x0a
const [OPEN, COMMA, CLOSE] = [Buffer.from('['), Buffer.from(','), Buffer.from(']')]

/** The cached bodies of one list may take up to this many times its bytes, without compressed bodies. */
const MAX_BODIES_RATIO = 3

/** A list of the cache, split into its items. It caches the bodies that it makes. */
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
    // The brackets count: without them the limit would be too small for an empty list.
    const maxSize = MAX_BODIES_RATIO * (all.length + 2)
    this.#bodies = new LRUCache({ maxSize, sizeCalculation: ({ body }) => body.length })
  }

  /**
   * Returns the first items as a JSON array.
   * @param limit the most items. Default: all.
   * @param exclude slugs of items to leave out.
   */
  body(limit: number = this.#lines.length, exclude: readonly string[] = []): ListBody {
    const wanted = Math.min(limit, this.#lines.length)
    const skipped = exclude.length === 0 ? [] : this.#excludedIndexes(wanted, exclude)
    const name = skipped.length === 0 ? String(wanted) : `${wanted} without ${skipped.join()}`
    const cached = this.#bodies.get(name)
    if (cached !== undefined) return cached
    const lines = this.#lines.slice(0, wanted + skipped.length)
    const body = toBody(skipped.length === 0 ? lines : lines.filter((_line, index) => !skipped.includes(index)))
    this.#bodies.set(name, body)
    return body
  }

  /**
   * Returns whether fewer than `limit` items are left without the excluded ones, although there may be more than `loaded`
   * items.
   */
  isShort(loaded: number, limit: number, exclude: readonly string[]): boolean {
    if (this.#lines.length < loaded || this.#lines.length - exclude.length >= limit) return false
    return this.#lines.length - this.#excludedIndexes(limit, exclude).length < limit
  }

  /** Returns the indexes of the excluded items before the last of `wanted` other items. */
  #excludedIndexes(wanted: number, exclude: readonly string[]): number[] {
    this.#slugs ??= this.#lines.map((line) => (JSON.parse(line.toString()) as { slug?: unknown }).slug)
    const excluded = new Set<unknown>(exclude)
    const indexes: number[] = []
    for (let index = 0; index - indexes.length < wanted && index < this.#slugs.length; index += 1)
      if (excluded.has(this.#slugs[index])) indexes.push(index)
    return indexes
  }
}

function toBody(lines: readonly Buffer[]): ListBody {
  const parts: Buffer[] = [OPEN]
  for (const [index, line] of lines.entries()) parts.push(...(index === 0 ? [line] : [COMMA, line]))
  return new ListBody(Buffer.concat([...parts, CLOSE]))
}
