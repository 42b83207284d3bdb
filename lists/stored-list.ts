import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { etagOf } from '../lib/entity-tags.ts'
import { isPlainSlug, slugForms, slugKeys } from '../lib/slug-forms.ts'
import { ListBody } from './list-body.ts'

const [TAB, NEWLINE] = [0x09, 0x0a]
/** Of SHA-256. */
const DIGEST_BYTES = 32
const [OPEN, COMMA, CLOSE] = [0x5b, 0x2c, 0x5d]

/** The cached cuts of all lists may take up to this many bytes, without compressed bodies: all limits of a dozen lists. */
const MAX_CUT_BYTES = 2 ** 20
/** What a cached cut takes beside its bytes, at most. */
const CUT_BYTES = 1_000

/** Creates the cache of the cuts of all lists that are not usual: the least used go first. */
export function createCuts(maxBytes = MAX_CUT_BYTES): LRUCache<string, ListBody> {
  return new LRUCache({ maxSize: maxBytes, sizeCalculation: ({ body }) => body.length + CUT_BYTES })
}

/** How many lists there were, so that each has a name in the cache of cuts. */
let lists = 0

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
  /** The cache of cuts, which lists may share. Default: one of its own. */
  cuts?: LRUCache<string, ListBody>
}

interface Matching {
  wanted: number
  exclude: readonly string[]
  minViews: number
  indexes: readonly number[]
}

/**
 * A list of the cache, as a JSON array of which each cut is made. It keeps the usual bodies for as long as the list is there,
 * so that other cuts cannot push them out.
 */
export class DecodedList {
  /** All items as a JSON array. */
  readonly #all: Buffer
  /** Where the sign before each item is in `#all`, and the closing bracket. */
  readonly #signs: number[] = []
  #digests: Buffer | undefined
  /** The bodies of the first items, by their number: all, or `usualLimit`. */
  readonly #usual = new Map<number, ListBody>()
  readonly #options: BodyOptions
  readonly #cuts: LRUCache<string, ListBody>
  readonly #name: string
  /** The earlier slugs of each item, in JSON; see `encodeList`. */
  readonly #earlier = new Map<number, Buffer>()
  #items: { slug?: unknown; views?: unknown }[] | undefined
  /** The slugs of items, by these and by earlier ones. */
  #slugs: Map<unknown, unknown> | undefined
  /** See `slugKeys`. */
  #slugKeys: Set<string> | undefined
  /** The last result of `#matching`: `isShort` and `body` ask for the same. */
  #last: Matching | undefined

  constructor(bytes: Uint8Array, options: BodyOptions = {}) {
    this.#options = options
    this.#cuts = options.cuts ?? createCuts()
    lists += 1
    this.#name = `${lists}:`
    const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const all = Buffer.allocUnsafe(lines.length + 2)
    all[0] = OPEN
    let at = 0
    for (let start = 0; start < lines.length; ) {
      const newline = lines.indexOf(NEWLINE, start)
      const end = newline === -1 ? lines.length : newline
      const line = lines.subarray(start, end)
      const tab = line.indexOf(TAB)
      if (tab !== -1) this.#earlier.set(this.#signs.length, line.subarray(tab + 1))
      const item = tab === -1 ? line : line.subarray(0, tab)
      if (at > 0) all[at] = COMMA
      this.#signs.push(at)
      all.set(item, at + 1)
      at += item.length + 1
      start = end + 1
    }
    const close = Math.max(1, at)
    this.#signs.push(close)
    all[close] = CLOSE
    this.#all = all.subarray(0, close + 1)
  }

  get #count(): number {
    return this.#signs.length - 1
  }

  /** Returns the first matching items as a JSON array. Equal items are the same object while it is cached. */
  body({ limit = this.#count, offset = 0, exclude = [], minViews = 0 }: ListCut = {}): ListBody {
    if (exclude.length === 0 && minViews === 0) {
      const end = Math.min(offset + limit, this.#count)
      return this.#run(Math.min(offset, end), end)
    }
    const picked = this.#matching(offset + limit, exclude, minViews).slice(offset)
    const first = picked[0] ?? 0
    const end = first + picked.length
    if (end === (picked.at(-1) ?? -1) + 1) return this.#run(first, end)
    return this.#cached(picked.join(), () => picked)
  }

  #run(first: number, end: number): ListBody {
    const isUsual = first === 0 && (end === this.#count || end === this.#options.usualLimit)
    if (!isUsual) return this.#cached(first === end ? '' : `${first}-${end}`, () => range(first, end))
    const known = this.#usual.get(end)
    if (known !== undefined) return known
    const usual = this.#make(range(0, end))
    this.#usual.set(end, usual)
    return usual
  }

  #cached(cut: string, picked: () => readonly number[]): ListBody {
    const name = this.#name + cut
    const cached = this.#cuts.get(name)
    if (cached !== undefined) return cached
    const body = this.#make(picked(), this.#options.mayCompress)
    this.#cuts.set(name, body)
    return body
  }

  /**
   * Makes a body of picked items, copied in runs. Its entity tag is made from the digests of the items, which are made once: to
   * hash each body took longer than all else.
   */
  #make(picked: readonly number[], mayCompress?: () => boolean): ListBody {
    this.#digests ??= Buffer.concat(
      range(0, this.#count).map((index) =>
        hash('sha256', this.#all.subarray(this.#sign(index) + 1, this.#sign(index + 1)), 'buffer'),
      ),
    )
    const digests = Buffer.allocUnsafe(picked.length * DIGEST_BYTES)
    const length = picked.reduce((sum, index) => sum + this.#sign(index + 1) - this.#sign(index), 0)
    const body = picked.length === this.#count ? this.#all : Buffer.allocUnsafe(Math.max(1, length) + 1)
    let at = 0
    for (let start = 0; start < picked.length; ) {
      const first = picked[start] as number
      let end = start + 1
      while (picked[end] === first + end - start) end += 1
      const after = first + end - start
      this.#digests.copy(digests, start * DIGEST_BYTES, first * DIGEST_BYTES, after * DIGEST_BYTES)
      at += this.#all.copy(body, at, this.#sign(first), this.#sign(after))
      start = end
    }
    body[0] = OPEN
    body[body.length - 1] = CLOSE
    return new ListBody(body, etagOf(digests), mayCompress)
  }

  #sign(index: number): number {
    return this.#signs[index] as number
  }

  /**
   * Returns whether excluded items make the cut too short, although a list of more than `loaded` items may have others.
   */
  isShort(loaded: number, { limit, offset, exclude, minViews }: Required<ListCut>): boolean {
    const wanted = offset + limit
    const count = this.#count
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
    this.#items ??= (JSON.parse(this.#all.toString()) as { slug?: unknown; views?: unknown }[]).map(
      ({ slug, views }) => ({
        slug,
        views,
      }),
    )
    const slugs = this.#slugs ?? this.#findSlugs(this.#items)
    this.#slugs = slugs
    const excluded = new Set<unknown>()
    const others: string[] = []
    for (const text of exclude) {
      if (!isPlainSlug(text)) {
        others.push(text)
        continue
      }
      const slug = slugs.get(text)
      if (slug !== undefined) excluded.add(slug)
    }
    if (others.length > 0) for (const form of this.#otherForms(others, slugs)) excluded.add(slugs.get(form))
    const indexes: number[] = []
    for (let index = 0; index < this.#items.length && indexes.length < wanted; index += 1) {
      const item = this.#items[index]
      if (!excluded.has(item?.slug) && (minViews === 0 || Number(item?.views) >= minViews)) indexes.push(index)
    }
    return indexes
  }

  /** The slugs of the list that other texts name. A client can send 50 texts that name none, and their forms are many. */
  #otherForms(texts: readonly string[], slugs: ReadonlyMap<unknown, unknown>): string[] {
    const known = this.#slugKeys ?? new Set(slugKeys([...slugs.keys()].map(String)))
    this.#slugKeys = known
    const keys = slugKeys(texts)
    const named = texts.filter((_text, at) => known.has(keys[at] as string))
    return named.flatMap((text) => [text, ...slugForms(text)].find((form) => slugs.has(form)) ?? [])
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
  const numbers: number[] = []
  for (let number = first; number < end; number += 1) numbers.push(number)
  return numbers
}
