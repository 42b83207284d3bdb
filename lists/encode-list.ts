import type { Alias } from '../db/posts-by-slug.ts'
import { encodeJson, kindOf, MAX_ENTRY_BYTES } from './encode-json.ts'

/**
 * Encodes a list for the cache: one JSON text per line. JSON has no raw line breaks, so a shorter list is the first lines of a
 * longer one, byte for byte. Reads from the cache parse and write no JSON.
 * @param items the result of a load. It is checked, because a function of the host may return anything.
 * @param from the name of that function, for errors.
 * @param aliases earlier slugs of items. They follow the item in its line, after a tab, which JSON does not have either.
 * @throws TypeError, RangeError: which item is not an object in JSON, and why; or the list is larger than `MAX_ENTRY_BYTES`.
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
    if (bytes > MAX_ENTRY_BYTES)
      throw new RangeError(
        `Expected ${from} to return at most ${MAX_ENTRY_BYTES} bytes, got more with the item at index ${index} of ${items.length}.`,
      )
    lines.push(line)
  }
  return Buffer.from(lines.join('\n'))
}

function encodeItem(item: unknown, name: string): string {
  return encodeJson(item, {
    name,
    expected: 'an object for JSON',
    isExpected: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  })
}
