import { keyRoot } from '../lib/redis-keys.ts'

/**
 * Returns the key of an entry: `{prefix}:part:part…`. Parts are escaped, so that two different lists of parts never have
 * the same key.
 */
export function entryKey(prefix: string, ...parts: (string | number)[]): string {
  let key = keyRoot(prefix)
  for (const part of parts) key += `:${typeof part === 'number' ? part : encodeURIComponent(part)}`
  return key
}
