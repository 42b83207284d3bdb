import type { CacheEvent } from '../cache/events.ts'
import type { PopularPosts } from '../lists/popular-posts.ts'
import type { CacheEvents } from './cache-events.ts'
import { type AnyRegistry, registerCollected } from './collected-metrics.ts'
import { DurationHistogram } from './duration-histogram.ts'

interface Measured {
  popularPosts: Pick<PopularPosts, 'stats' | 'backend'>
  events: Pick<CacheEvents, 'observe'>
}

/** Registers the metrics of the cache of an app. */
export function measureCache({ popularPosts, events }: Measured, register: AnyRegistry): void {
  const { stats, backend } = popularPosts
  const { observe, invalidations } = createObserver(register)
  events.observe(observe)

  registerCollected(register, 'counter', [
    {
      name: 'popular_posts_reads_total',
      help: 'Reads of lists: hit, fresh from the cache; stale, expired; miss, after a load or the wait for a load.',
      label: 'outcome',
      read() {
        const { hits, staleHits, misses } = stats()
        return { hit: hits, stale: staleHits, miss: misses }
      },
    },
    {
      name: 'popular_posts_loads_total',
      help: 'Loads of lists by outcome: the cost of the cache for the database.',
      label: 'outcome',
      read() {
        const { loads, loadsFailed } = stats()
        return { loaded: loads, failed: loadsFailed }
      },
    },
    {
      name: 'popular_posts_invalidations_total',
      help: 'Invalidations confirmed by the store.',
      label: 'mode',
      read: () => invalidations,
    },
    {
      name: 'popular_posts_loads_refused_total',
      help: 'Loads that did not begin, because too many loads were running. This is not a failure of the database.',
      read: () => stats().loadsRefused,
    },
    {
      name: 'popular_posts_wait_timeouts_total',
      help: 'Reads that got no list, because its load took longer than waitTimeoutSeconds.',
      read: () => stats().waitTimeouts,
    },
    {
      name: 'popular_posts_commits_refused_total',
      help: 'Loaded lists that were not stored, because an invalidation or another process was faster.',
      read: () => stats().commitsRefused,
    },
    {
      name: 'popular_posts_fail_safe_answers_total',
      help: 'Reads that got an expired list, because loading fails.',
      read: () => stats().failSafeServed,
    },
    {
      name: 'popular_posts_takeovers_total',
      help: 'Loads taken over from a process that died or gave up.',
      read: () => stats().takeovers,
    },
    {
      name: 'popular_posts_redis_failures_total',
      help: 'How often Redis stopped replying.',
      read: () => stats().storeFailures,
    },
    {
      name: 'popular_posts_redis_refusals_total',
      help: 'Commands that Redis refused, for example because its memory is full.',
      read: () => stats().storeRefusals,
    },
    {
      name: 'popular_posts_redis_evicted_keys_total',
      help: 'Keys that Redis evicted, because its memory was full; those of other programs too.',
      read: () => stats().storeEvictions,
    },
  ])
  registerCollected(register, 'gauge', [
    {
      name: 'popular_posts_memory_entries',
      help: 'Lists in the memory store of this process, without copies of lists in Redis.',
      read: () => stats().entries,
    },
    {
      name: 'popular_posts_memory_bytes',
      help: 'Bytes of the lists and their keys in the memory store of this process, without copies of lists in Redis.',
      read: () => stats().bytes,
    },
  ])
  if (backend().kind !== 'redis') return
  registerCollected(register, 'gauge', [
    {
      name: 'popular_posts_redis_up',
      help: '1 while Redis replies, 0 while this process uses its own memory. Absent without Redis.',
      read: () => (backend().isDown ? 0 : 1),
    },
  ])
}

const LISTS = ['posts', 'categories', 'filters'] as const

/** Returns the kind of list of a key. */
function listOf(key: string): (typeof LISTS)[number] {
  const [, part] = key.slice(key.indexOf('}:') + 2).split(':')
  return LISTS.find((list) => list === part) ?? 'posts'
}

/** Registers the metrics that are counted from events. */
function createObserver(register: AnyRegistry) {
  const reads = new DurationHistogram(
    register,
    'popular_posts_read_duration_seconds',
    'Duration of reads of the cache. Hits from the memory of the process are not timed, and count as 0.',
  )
  const loads = new DurationHistogram(
    register,
    'popular_posts_load_duration_seconds',
    'Duration of loads of lists: the query and the storing of its result.',
  )
  const waits = new DurationHistogram(
    register,
    'popular_posts_wait_duration_seconds',
    'Duration of waits for a load of another process.',
  )
  const byRead = {
    hit: reads.series({ outcome: 'hit' }),
    'stale-hit': reads.series({ outcome: 'stale' }),
    miss: reads.series({ outcome: 'miss' }),
  }
  const seriesOf = (outcome: string) => ({
    posts: loads.series({ list: 'posts', outcome }),
    categories: loads.series({ list: 'categories', outcome }),
    filters: loads.series({ list: 'filters', outcome }),
  })
  const byLoad = { loaded: seriesOf('loaded'), 'load-failed': seriesOf('failed') }
  const byWait = waits.series({})
  const invalidations = { hard: 0, soft: 0 }

  function observe(event: CacheEvent): void {
    switch (event.type) {
      case 'hit':
      case 'stale-hit':
      case 'miss':
        byRead[event.type].add(event.durationMs)
        break
      case 'loaded':
      case 'load-failed':
        byLoad[event.type][listOf(event.key)].add(event.durationMs)
        break
      case 'waited':
        byWait.add(event.durationMs)
        break
      case 'invalidated':
        invalidations[event.mode] += 1
    }
  }
  return { observe, invalidations }
}
