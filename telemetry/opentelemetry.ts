import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type CacheCounts, type CacheEvent, createCounts } from '../cache/events.ts'

type Attributes = Record<string, string>
type Report = (result: { observe(value: number, attributes?: Attributes): void }) => void

interface Description {
  description: string
  unit: string
}

/** What is needed of a `Meter` of @opentelemetry/api. */
export interface Meter {
  createObservableCounter(name: string, options: Description): { addCallback(report: Report): void }
  createHistogram(name: string, options: Description): { record(value: number, attributes?: Attributes): void }
}

/** Counters by name: their description, and their values by outcome; `''`: there is but one. */
const COUNTERS: [string, Description, (counts: CacheCounts) => Record<string, number>][] = [
  [
    'popular_posts.reads',
    { description: 'Lists answered: hit, stale or miss.', unit: '{read}' },
    ({ hits, staleHits, misses }) => ({ hit: hits, stale: staleHits, miss: misses }),
  ],
  [
    'popular_posts.loads',
    { description: 'Queries for lists, by how they ended.', unit: '{load}' },
    ({ loads, loadsFailed }) => ({ loaded: loads, failed: loadsFailed }),
  ],
  [
    'popular_posts.loads_refused',
    { description: 'Loads that did not begin, because too many others were running.', unit: '{load}' },
    ({ loadsRefused }) => ({ '': loadsRefused }),
  ],
  [
    'popular_posts.invalidations',
    { description: 'Invalidations confirmed by the store.', unit: '{invalidation}' },
    ({ invalidations }) => ({ '': invalidations }),
  ],
  [
    'popular_posts.fail_safe_answers',
    { description: 'Answers with a list past its time because loading is failing.', unit: '{answer}' },
    ({ failSafeServed }) => ({ '': failSafeServed }),
  ],
  [
    'popular_posts.takeovers',
    { description: 'Loads taken over from a process that died or gave up.', unit: '{load}' },
    ({ takeovers }) => ({ '': takeovers }),
  ],
  [
    'popular_posts.redis_failures',
    { description: 'How often Redis went out of reach.', unit: '{failure}' },
    ({ storeFailures }) => ({ '': storeFailures }),
  ],
]

/**
 * Tells an OpenTelemetry meter what the caches of this process do, from now on, as their diagnostics channel tells it: counters
 * that are read when they are exported, and histograms of loads and waits, in seconds. A hit costs a count.
 * @returns ends it; the counters keep their last values.
 */
export function watchWithOpenTelemetry(meter: Meter): () => void {
  const counts = createCounts()
  for (const [name, description, read] of COUNTERS) {
    meter.createObservableCounter(name, description).addCallback((result) => {
      for (const [outcome, value] of Object.entries(read(counts.read())))
        result.observe(value, outcome === '' ? {} : { outcome })
    })
  }
  const loads = meter.createHistogram('popular_posts.load.duration', {
    description: 'Loads of lists: the query and the storing of what it brought.',
    unit: 's',
  })
  const waits = meter.createHistogram('popular_posts.wait.duration', {
    description: 'Waits for a load of another process.',
    unit: 's',
  })

  function onEvent(message: unknown): void {
    const event = message as CacheEvent
    counts.count(event)
    if (event.type === 'loaded') loads.record(event.durationMs / 1000, { outcome: 'loaded' })
    if (event.type === 'load-failed') loads.record(event.durationMs / 1000, { outcome: 'failed' })
    if (event.type === 'waited') waits.record(event.durationMs / 1000)
  }
  subscribe('fastify-popular-posts', onEvent)
  return () => void unsubscribe('fastify-popular-posts', onEvent)
}
