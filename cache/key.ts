/**
 * The key of an entry: `{prefix}:part:part…`. The braces are a Redis Cluster hash tag: all keys of one prefix share a slot.
 * Parts are escaped, so that no two lists of parts make the same key.
 */
export function entryKey(prefix: string, ...parts: (string | number)[]): string {
  return [`{${prefix}}`, ...parts.map((part) => encodeURIComponent(part))].join(':')
}
