import { LRUCache } from 'lru-cache'

/**
 * Caches the results of `load` by key for `ttlMs`, and longer while `load` fails. One load per key runs at a time.
 * @returns a function that rejects with the error of `load` if the key has no cached value.
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
