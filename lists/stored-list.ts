import { LRUCache } from 'lru-cache'
import { slugForms } from '../lib/slug-forms.ts'
import { ListBody } from './list-body.ts'

const [TAB, NEWLINE] = [0x09, 0x0a]
const [OPEN, COMMA, CLOSE] = [Buffer.from('['), Buffer.from(','), Buffer.from(']')]

/** The cached bodies of one list may take up to this many times its bytes, without compressed bodies. */
const MAX_BODIES_RATIO = 3

/** Which items of a list a reader gets. */
export interface ListCut {
  /** The most items. Default: all. */
  limit?: number
  /** How many matching items to skip. Default 0. */
  offset?: number
  /** Slugs of items to leave out. Default: none. */
  exclude?: readonly string[]
  /** The least `views` of an item; items without this number do not match. Default 0: any. */
  minViews?: number
}

/** A list of the cache, split into its items. It caches the bodies that it makes. */
export class DecodedList {
  readonly #lines: Buffer[]
  readonly #bodies: LRUCache<string, ListBody>
  /** The earlier slugs of each item, in JSON; see `encodeList`. */
  readonly #earlier = new Map<number, Buffer>()
  #items: { slug?: unknown; views?: unknown }[] | undefined
  /** The slugs of items, by these and by earlier ones. */
  #slugs: Map<unknown, unknown> | undefined

  constructor(bytes: Uint8Array) {
    const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#lines = []
    for (let start = 0; start < all.length; ) {
      const newline = all.indexOf(NEWLINE, start)
      const end = newline === -1 ? all.length : newline
      const line = all.subarray(start, end)
      const tab = line.indexOf(TAB)
      if (tab !== -1) this.#earlier.set(this.#lines.length, line.subarray(tab + 1))
      this.#lines.push(tab === -1 ? line : line.subarray(0, tab))
      start = end + 1
    }
    // The brackets count: without them the limit would be too small for an empty list.
    const maxSize = MAX_BODIES_RATIO * (all.length + 2)
    this.#bodies = new LRUCache({ maxSize, sizeCalculation: ({ body }) => body.length })
  }

  /** Returns the first matching items as a JSON array. Equal items are the same object while it is cached. */
  body({ limit = this.#lines.length, offset = 0, exclude = [], minViews = 0 }: ListCut = {}): ListBody {
    if (exclude.length === 0 && minViews === 0) {
      const end = Math.min(offset + limit, this.#lines.length)
      return this.#run(Math.min(offset, end), end)
    }
    const picked = this.#matching(offset + limit, exclude, minViews).slice(offset)
    const first = picked[0] ?? 0
    const end = first + picked.length
    if (end === (picked.at(-1) ?? -1) + 1) return this.#run(first, end)
    const isPicked = new Set(picked)
    return this.#cached(picked.join(), () => this.#lines.filter((_line, index) => isPicked.has(index)))
  }

  #run(first: number, end: number): ListBody {
    return this.#cached(first === end ? '' : `${first}-${end}`, () => this.#lines.slice(first, end))
  }

  #cached(name: string, lines: () => readonly Buffer[]): ListBody {
    const cached = this.#bodies.get(name)
    if (cached !== undefined) return cached
    const body = toBody(lines())
    this.#bodies.set(name, body)
    return body
  }

  /**
   * Returns whether excluded items make the cut too short, although a list of more than `loaded` items may have others.
   */
  isShort(loaded: number, { limit, offset, exclude, minViews }: Required<ListCut>): boolean {
    const wanted = offset + limit
    const count = this.#lines.length
    if (limit === 0 || exclude.length === 0 || count < loaded) return false
    if (this.#matching(wanted, exclude, minViews).length === wanted) return false
    // After an item with too few views there are none with enough.
    return this.#matching(count, [], minViews).length === count
  }

  /** Returns the indexes of the first `wanted` items that match. */
  #matching(wanted: number, exclude: readonly string[], minViews: number): number[] {
    this.#items ??= this.#lines.map((line) => {
      const { slug, views } = JSON.parse(line.toString()) as { slug?: unknown; views?: unknown }
      return { slug, views }
    })
    const slugs = this.#slugs ?? this.#findSlugs(this.#items)
    this.#slugs = slugs
    const excluded = new Set<unknown>()
    for (const slug of exclude) {
      const form = slugForms(slug).find((each) => slugs.has(each))
      if (form !== undefined) excluded.add(slugs.get(form))
    }
    const indexes: number[] = []
    for (const [index, { slug, views }] of this.#items.entries()) {
      if (indexes.length === wanted) break
      if (!excluded.has(slug) && (minViews === 0 || Number(views) >= minViews)) indexes.push(index)
    }
    return indexes
  }

  #findSlugs(items: readonly { slug?: unknown }[]): Map<unknown, unknown> {
    const slugs = new Map<unknown, unknown>()
    for (const [index, json] of this.#earlier)
      for (const slug of JSON.parse(json.toString()) as string[]) slugs.set(slug, items[index]?.slug)
    // The present slug of one item may be an earlier one of another item.
    for (const { slug } of items) slugs.set(slug, slug)
    return slugs
  }
}

function toBody(lines: readonly Buffer[]): ListBody {
  const parts: Buffer[] = [OPEN]
  for (const [index, line] of lines.entries()) parts.push(...(index === 0 ? [line] : [COMMA, line]))
  return new ListBody(Buffer.concat([...parts, CLOSE]))
}
