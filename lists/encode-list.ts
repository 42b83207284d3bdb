import type { Alias } from '../db/posts-by-slug.ts'
import { messageOf } from '../lib/errors.ts'

/** The most bytes of a list: the memory of a process and Redis hold many lists. */
export const MAX_LIST_BYTES = 16 * 2 ** 20

/**
 * Encodes a list for the cache: one JSON text per line. JSON has no raw line breaks, so a shorter list is the first lines of a
 * longer one, byte for byte. Reads from the cache parse and write no JSON.
 * @param items the result of a load. It is checked, because a function of the host may return anything.
 * @param from the name of that function, for errors.
 * @param aliases earlier slugs of items. They follow the item in its line, after a tab, which JSON does not have either.
 * @throws TypeError, RangeError: which item is not an object in JSON, and why; or the list is larger than `MAX_LIST_BYTES`.
 */
export function encodeList(items: unknown, from: string, aliases: readonly Alias[] = []): Uint8Array {
  if (!Array.isArray(items))
    throw new TypeError(`Expected ${from} to return an array of objects, got ${kindOf(items)}.`)
  const lines: string[] = []
  const earlier = new Map<unknown, string[]>()
  for (const { slug, present } of aliases) earlier.set(present, [...(earlier.get(present) ?? []), slug])
  let bytes = 0
  // Not `map`, which leaves out the holes of a sparse array.
  for (let index = 0; index < items.length; index += 1) {
    const item = encodeItem(items[index], `the item at index ${index} of the list of ${from}`)
    const slugs = earlier.size === 0 ? undefined : earlier.get((items[index] as { slug?: unknown }).slug)
    const line = slugs === undefined ? item : `${item}\t${JSON.stringify(slugs)}`
    bytes += Buffer.byteLength(line) + 1
    if (bytes > MAX_LIST_BYTES)
      throw new RangeError(
        `Expected ${from} to return at most ${MAX_LIST_BYTES} bytes, got more with the item at index ${index} of ${items.length}.`,
      )
    lines.push(line)
  }
  return Buffer.from(lines.join('\n'))
}

function encodeItem(item: unknown, name: string): string {
  let problem: string | undefined
  let isItem = true
  function check(key: string, value: unknown): unknown {
    // The first value is the item, after its `toJSON`.
    if (isItem && (typeof value !== 'object' || value === null || Array.isArray(value))) problem = kindOf(value)
    else if (isLost(value)) problem = isItem ? kindOf(value) : `${kindOf(value)} in its property ${JSON.stringify(key)}`
    isItem = false
    // Ends the encoding.
    if (problem !== undefined) throw new TypeError(problem)
    return value
  }
  try {
    return JSON.stringify(item, check)
  } catch (cause) {
    if (problem !== undefined) throw new TypeError(`Expected ${name} to be an object for JSON, got ${problem}.`)
    const [reason] = messageOf(cause).split('\n')
    throw new TypeError(`Expected ${name} to be an object for JSON, but it cannot be encoded: ${reason}`, { cause })
  }
}

/** Whether JSON cannot represent a value, or would have an empty object in its place. */
function isLost(value: unknown): boolean {
  if (typeof value === 'bigint') return true
  return value instanceof Map || value instanceof Set || isThenable(value)
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/** Names the kind of a value, without the value: it may be secret. */
export function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (typeof value === 'bigint') return 'a BigInt'
  if (typeof value !== 'object') return `a ${typeof value}`
  if (Array.isArray(value)) return 'an array'
  if (isThenable(value)) return 'a promise'
  if (value instanceof Map) return 'a Map'
  if (value instanceof Set) return 'a Set'
  return 'an object'
}
