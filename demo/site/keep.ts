import { LRUCache } from 'lru-cache'

/**
 * Remembers what was loaded, by key, for `keptMs`; and for longer while loading fails. One load at a time for each key.
 * @returns rejects with what `load` did when nothing is remembered.
 */
export function keep<T extends object>(
  { max, keptMs }: { max: number; keptMs: number },
  load: (key: string) => Promise<T>,
): (key: string) => Promise<T> {
  const kept = new LRUCache<string, T>({
    max,
    ttl: keptMs,
    allowStaleOnFetchRejection: true,
    noDeleteOnFetchRejection: true,
    fetchMethod: load,
  })
  return (key) => kept.forceFetch(key)
}
