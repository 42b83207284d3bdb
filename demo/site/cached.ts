import { LRUCache } from 'lru-cache'

/**
 * Remembers what was loaded, by key, for `keptMs`; and for longer while loading fails. One load at a time for each key.
 * @returns rejects with what `load` did when nothing is remembered.
 */
export function cached<T extends object>(
  { max, ttlMs }: { max: number; ttlMs: number },
  load: (key: string) => Promise<T>,
): (key: string) => Promise<T> {
  const kept = new LRUCache<string, T>({
    max,
    ttl: ttlMs,
    allowStaleOnFetchRejection: true,
    noDeleteOnFetchRejection: true,
    fetchMethod: load,
  })
  return (key) => kept.forceFetch(key)
}
