import { createHash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { etagOf } from '../lib/entity-tags.ts'
import { slugForms, slugKey } from '../lib/slug-forms.ts'
import { ListBody } from './list-body.ts'

const [TAB, NEWLINE] = [0x09, 0x0a]
/** Of SHA-256. */
const DIGEST_BYTES = 32
const [OPEN, COMMA, CLOSE] = [0x5b, 0x2c, 0x5d]

/** The cached bodies of one list, beside the usual ones, may take up to this many times its bytes, without compressed bodies. */
const MAX_BODIES_RATIO = 3

/**
 * How many bodies that are not usual a process compresses in a second; further ones are sent as they are. A body of 50 posts
 * takes half a millisecond, so this takes a fortieth of a processor at most.
 */
export const MAX_COMPRESSED = 50

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

/** Which bodies of a list are usual, and whether others may be compressed. */
interface BodyOptions {
  /** The number of items that readers get by default. */
  usualLimit?: number
  /** Whether the process may compress one more body now that is not usual. Default: always. */
  mayCompress?: () => boolean
}

interface Matching {
  wanted: number
  exclude: readonly string[]
  minViews: number
  indexes: readonly number[]
}

/**
 * A list of the cache, split into its items. It caches the bodies that it makes: the usual ones for as long as the list is
 * there, so that other cuts cannot push them out.
 */
export class DecodedList {
  readonly #lines: Buffer[]
  #digests: Buffer | undefined
  /** The bodies of the first items, by their number: all, or `usualLimit`. */
  readonly #usual = new Map<number, ListBody>()
  readonly #options: BodyOptions
  readonly #bodies: LRUCache<string, ListBody>
  /** The earlier slugs of each item, in JSON; see `encodeList`. */
  readonly #earlier = new Map<number, Buffer>()
  #items: { slug?: unknown; views?: unknown }[] | undefined
  /** The slugs of items, by these and by earlier ones. */
  #slugs: Map<unknown, unknown> | undefined
  /** See `slugKey`. */
  #slugKeys: Set<string> | undefined
  /** The last result of `#matching`: `isShort` and `body` ask for the same. */
  #last: Matching | undefined

  constructor(bytes: Uint8Array, options: BodyOptions = {}) {
    this.#options = options
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
    return this.#cached(picked.join(), () => picked)
  }

  #run(first: number, end: number): ListBody {
    const isUsual = first === 0 && (end === this.#lines.length || end === this.#options.usualLimit)
    if (!isUsual) return this.#cached(first === end ? '' : `${first}-${end}`, () => range(first, end))
    const known = this.#usual.get(end)
    if (known !== undefined) return known
    const usual = this.#make(range(0, end))
    this.#usual.set(end, usual)
    return usual
  }

  #cached(name: string, picked: () => readonly number[]): ListBody {
    const cached = this.#bodies.get(name)
    if (cached !== undefined) return cached
    const body = this.#make(picked(), this.#options.mayCompress)
    this.#bodies.set(name, body)
    return body
  }

  /**
   * Makes a body of picked items. Its entity tag is made from the digests of the items, which are made once: to hash each body
   * took longer than all else.
   */
  #make(picked: readonly number[], mayCompress?: () => boolean): ListBody {
    const digests =
      this.#digests ?? Buffer.concat(this.#lines.map((line) => createHash('sha256').update(line).digest()))
    this.#digests = digests
    const picks = Buffer.allocUnsafe(picked.length * DIGEST_BYTES)
    for (const [at, index] of picked.entries())
      digests.copy(picks, at * DIGEST_BYTES, index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
    return new ListBody(toBody(picked.map((index) => this.#lines[index] as Buffer)), etagOf(picks), mayCompress)
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
  #matching(wanted: number, exclude: readonly string[], minViews: number): readonly number[] {
    const last = this.#last
    if (last?.exclude === exclude && last.wanted === wanted && last.minViews === minViews) return last.indexes
    const indexes = this.#match(wanted, exclude, minViews)
    this.#last = { wanted, exclude, minViews, indexes }
    return indexes
  }

  #match(wanted: number, exclude: readonly string[], minViews: number): readonly number[] {
    this.#items ??= this.#lines.map((line) => {
      const { slug, views } = JSON.parse(line.toString()) as { slug?: unknown; views?: unknown }
      return { slug, views }
    })
    const slugs = this.#slugs ?? this.#findSlugs(this.#items)
    this.#slugs = slugs
    const excluded = new Set<unknown>()
    for (const slug of exclude) {
      const form = slugs.has(slug) ? slug : this.#otherForm(slug, slugs)
      if (form !== undefined) excluded.add(slugs.get(form))
    }
    const indexes: number[] = []
    for (let index = 0; index < this.#items.length && indexes.length < wanted; index += 1) {
      const item = this.#items[index]
      if (!excluded.has(item?.slug) && (minViews === 0 || Number(item?.views) >= minViews)) indexes.push(index)
    }
    return indexes
  }

  /** The slug of the list that another text names. A client can send 50 texts that name none, and their forms are many. */
  #otherForm(text: string, slugs: ReadonlyMap<unknown, unknown>): string | undefined {
    this.#slugKeys ??= new Set([...slugs.keys()].map((slug) => slugKey(String(slug))))
    return this.#slugKeys.has(slugKey(text)) ? slugForms(text).find((form) => slugs.has(form)) : undefined
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

/** The whole numbers from `first` to before `end`. */
function range(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_none, at) => first + at)
}

/** Joins items to a JSON array. */
function toBody(lines: readonly Buffer[]): Buffer {
  const body = Buffer.allocUnsafe(lines.reduce((length, line) => length + line.length + 1, lines.length === 0 ? 2 : 1))
  let at = 0
  for (const line of lines) {
    body[at] = at === 0 ? OPEN : COMMA
    body.set(line, at + 1)
    at += line.length + 1
  }
  if (at === 0) body[0] = OPEN
  body[body.length - 1] = CLOSE
  return body
}
