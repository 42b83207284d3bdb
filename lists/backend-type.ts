import type { CacheCounts, CacheEvent } from '../cache/events.ts'
import type { Store } from '../cache/store.ts'
import type { HostRedis } from '../lib/host-redis.ts'

// Not in backend.ts, nor HostRedis in redis.ts: a host that compiles these types must not see decorators that are not for it.

export interface Backend {
  store: Store
  near: { maxStaleMs: number } | undefined
  /** What is held in this process, copies aside. */
  size(): { entries: number; bytes: number }
  state(): { kind: 'memory' | 'redis'; isDown: boolean }
  /** Hands the store's messages to the cache. */
  listen(hear: (message: string) => void): void
  /** The process has been frozen since `rest`: a connection that broke meanwhile, and does not know, is dropped. Never rejects. */
  thaw(): Promise<void>
  /** The process may be frozen from here on. */
  rest(): void
  /** Redis itself, for what else is kept there, and the way to ask it for what no page waits for; none: there is only this process. */
  redis: { client: HostRedis; ask: <T>(work: () => Promise<T>) => Promise<T> } | undefined
  /** Connects to the node of a Cluster that holds the keys, which clients do at the first command: no request waits for that. */
  warmUp(): Promise<void>
}

/** What the parts of an app share. */
export interface PopularPostsBackend extends Backend {
  /** Tells the log, the diagnostics channel and the counts of what the cache did. */
  observe: (event: CacheEvent) => void
  counts: () => CacheCounts
  /** Tells another one of what the cache of this app does, from now on. Called within a read: must be quick, and not throw. */
  watch: (watcher: (event: CacheEvent) => void) => void
}
