/**
 * Returns the key of an entry: `{prefix}:part:part…`. The braces are a Redis Cluster hash tag: all keys of one prefix
 * share a slot. Parts are escaped, so that two different lists of parts never have the same key.
 */
export function entryKey(prefix: string, ...parts: (string | number)[]): string {
  let key = `{${prefix}}`
  for (const part of parts) key += `:${typeof part === 'number' ? part : encodeURIComponent(part)}`
  return key
}
