import { AsyncLocalStorage } from 'node:async_hooks'
import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import type { CacheCounts } from '../cache/events.ts'
import { entryKey } from '../cache/key.ts'
import type { EntryTimes, ReadThroughCache } from '../cache/options.ts'
import { encodeJson, MAX_ENTRY_BYTES } from './encode-json.ts'

/** How long a value lives. */
export interface GetOrSetOptions {
  /** Seconds for which the value is fresh, more than 0 (±10 %, so that values that were loaded together do not expire together). */
  ttlSeconds: number
  /** Seconds after that in which it is still returned at once, while one refresh runs. Default: as `ttlSeconds`. */
  staleSeconds?: number | undefined
  /** Seconds after its expiry in which it is returned if its load fails. Default 86400. */
  failSafeSeconds?: number | undefined
}

/**
 * The type of a value after JSON: a `Date` is a string, an object with `toJSON` is its result; what JSON loses, such as a
 * function, is `never`.
 */
export type AsJson<T> = unknown extends T
  ? T
  : T extends string | number | boolean | null | undefined
    ? T
    : T extends { toJSON(key?: string): infer Json }
      ? Json
      : T extends bigint | symbol | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | ((...args: never) => unknown)
        ? never
        : T extends object
          ? { [Name in keyof T]: AsJson<T[Name]> }
          : T

/** A cache for values of your own, such as a tag cloud or related posts, with the promises of the lists: see docs/own-lists.md. */
export interface JsonCache {
  /**
   * Returns the value of a key: from the cache, or loaded once for all callers in all processes. The value is new for each
   * call, so the caller may change it.
   *
   * ```ts
   * const tags = await cache.getOrSet('tags', () => db.selectFrom('tags').selectAll().execute(), { ttlSeconds: 600 })
   * ```
   * @param key any string.
   * @param load returns the value, or a promise of it: what JSON can represent, or undefined.
   * @throws TypeError when the key or an option is wrong, or `load` reads its own key. `PP_LOAD_FAILED` (503, with the error of
   * `load` as `cause`), `PP_UNSETTLED` and `PP_WAIT_TIMEOUT` (503, with `retryAfterMs`) when no value can be returned.
   */
  getOrSet<T>(key: string, load: () => T | Promise<T>, options: GetOrSetOptions): Promise<AsJson<T>>
  /**
   * Makes the value of one key outdated. When the promise has resolved, no value that was loaded before is returned or stored
   * any more, in all processes that share the Redis; without Redis, in this process.
   * @throws `PP_UNCONFIRMED` (503) when Redis did not reply: it may hold or not. Try again.
   */
  invalidate(key: string): Promise<void>
  /** Makes the values of all keys outdated, as `invalidate` does for one. Throws as `invalidate`. */
  invalidateAll(): Promise<void>
  /** Returns counts since the start of the process. */
  stats(): CacheCounts
}

/** A load that runs, and the load that has called for it. */
interface Loading {
  key: string
  isRunning: boolean
  outer: Loading | undefined
}

interface JsonCacheOptions {
  cache: Pick<ReadThroughCache, 'read' | 'invalidate' | 'invalidateKey'>
  prefix: string
  stats: () => CacheCounts
}

const YEAR_SECONDS = 365 * 86_400
const FAIL_SAFE_SECONDS = 86_400
/** A longer key is hashed: it would take more memory than most values. */
const MAX_KEY_LENGTH = 200
/** The value `undefined`, which JSON does not have. */
const UNDEFINED = new Uint8Array()

/** Creates a cache of JSON values over a cache of bytes. */
export function createJsonCache({ cache, prefix, stats }: JsonCacheOptions): JsonCache {
  const loads = new AsyncLocalStorage<Loading>()

  async function getOrSet<T>(key: string, load: () => T | Promise<T>, options: GetOrSetOptions): Promise<AsJson<T>> {
    const storeKey = keyOf(prefix, key)
    const times = timesOf(key, options)
    if (typeof load !== 'function')
      throw new TypeError(`Expected a load function for ${shown(key)}, got ${typeof load}.`)
    const outer = loads.getStore()
    for (let each = outer; each !== undefined; each = each.outer) {
      if (each.isRunning && each.key === key)
        throw new TypeError(`Expected the load of ${shown(key)} not to read its own key: it would wait for itself.`)
    }
    const loadBytes = async () => {
      const loading = { key, isRunning: true, outer }
      try {
        return encodeValue(key, await loads.run(loading, load))
      } finally {
        loading.isRunning = false
      }
    }
    const { value } = await cache.read(storeKey, loadBytes, 0, undefined, times)
    return decodeValue(value) as AsJson<T>
  }

  return {
    getOrSet,
    invalidate: async (key) => cache.invalidateKey(keyOf(prefix, key)),
    invalidateAll: () => cache.invalidate('hard'),
    stats,
  }
}

/** The key in the store. Two different keys never get the same one. */
function keyOf(prefix: string, key: string): string {
  if (typeof key !== 'string') throw new TypeError(`Expected the key to be a string, got ${typeof key}.`)
  // Half of a surrogate pair cannot be percent-encoded, and UTF-8 has one replacement for all of them.
  if (key.length <= MAX_KEY_LENGTH && !/\p{Surrogate}/u.test(key)) return entryKey(prefix, 'key', key)
  return entryKey(prefix, 'hash', createHash('sha256').update(key, 'utf16le').digest('hex'))
}

function timesOf(key: string, options: Partial<GetOrSetOptions> = {}): EntryTimes {
  const { ttlSeconds = 0, staleSeconds = ttlSeconds, failSafeSeconds = FAIL_SAFE_SECONDS } = options
  for (const [name, value] of Object.entries({ ttlSeconds, staleSeconds, failSafeSeconds })) {
    const isInRange = typeof value === 'number' && value >= 0 && value <= YEAR_SECONDS
    if (!isInRange || (name === 'ttlSeconds' && value === 0))
      throw new TypeError(
        `Expected ${name} of ${shown(key)} to be ${name === 'ttlSeconds' ? 'more than' : 'from'} 0 and at most ${YEAR_SECONDS}, got ${inspect(value)}.`,
      )
  }
  return { ttlMs: ttlSeconds * 1000, staleMs: staleSeconds * 1000, failSafeMs: failSafeSeconds * 1000 }
}

function encodeValue(key: string, value: unknown): Uint8Array {
  if (value === undefined) return UNDEFINED
  const name = `the value of ${shown(key)}`
  const text = encodeJson(value, {
    name,
    expected: 'JSON',
    isExpected: (root) => root !== undefined && typeof root !== 'function' && typeof root !== 'symbol',
  })
  const bytes = Buffer.from(text)
  if (bytes.byteLength > MAX_ENTRY_BYTES)
    throw new RangeError(`Expected ${name} to have at most ${MAX_ENTRY_BYTES} bytes, got ${bytes.byteLength}.`)
  return bytes
}

function decodeValue(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) return undefined
  return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString())
}

/** A key as it may stand in an error: short, on one line. */
function shown(key: string): string {
  return JSON.stringify(key.length > 60 ? `${key.slice(0, 60)}…` : key)
}
