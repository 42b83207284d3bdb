import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { type CacheCounts, type CacheEvent, createCounts } from '../cache/events.ts'

/** Attributes of a value, by name. */
export type Attributes = Record<string, string>

/** Called at each export of the metrics: reports the present values of a counter to `result.observe`. */
export type Report = (result: { observe(value: number, attributes?: Attributes): void }) => void

/** The description of a metric. */
export interface Description {
  /** What the metric counts or measures. */
  description: string
  /** The unit, such as `s` or `{load}` (UCUM). */
  unit: string
}

/** A counter whose values are read at each export. */
export interface ObservableCounter {
  /** Adds a function that reports the values. */
  addCallback(report: Report): void
}

/** A histogram. */
export interface Histogram {
  /** Records one value. */
  record(value: number, attributes?: Attributes): void
}

/** The part of a `Meter` of @opentelemetry/api that this package uses. */
export interface Meter {
  /** Creates a counter whose values are read at each export. */
  createObservableCounter(name: string, options: Description): ObservableCounter
  /** Creates a histogram. */
  createHistogram(name: string, options: Description): Histogram
}

/** Counters by name: their description, and their values by outcome; the outcome `''` means no attribute. */
const COUNTERS: [string, Description, (counts: CacheCounts) => Record<string, number>][] = [
  [
    'popular_posts.reads',
    { description: 'Reads of lists by outcome: hit, stale or miss.', unit: '{read}' },
    ({ hits, staleHits, misses }) => ({ hit: hits, stale: staleHits, miss: misses }),
  ],
  [
    'popular_posts.loads',
    { description: 'Loads of lists by outcome: loaded or failed.', unit: '{load}' },
    ({ loads, loadsFailed }) => ({ loaded: loads, failed: loadsFailed }),
  ],
  [
    'popular_posts.loads_refused',
    { description: 'Loads that did not begin, because too many loads were running.', unit: '{load}' },
    ({ loadsRefused }) => ({ '': loadsRefused }),
  ],
  [
    'popular_posts.wait_timeouts',
    { description: 'Reads that got no list, because its load took longer than waitTimeoutSeconds.', unit: '{read}' },
    ({ waitTimeouts }) => ({ '': waitTimeouts }),
  ],
  [
    'popular_posts.invalidations',
    { description: 'Invalidations confirmed by the store.', unit: '{invalidation}' },
    ({ invalidations }) => ({ '': invalidations }),
  ],
  [
    'popular_posts.fail_safe_answers',
    { description: 'Reads that got an expired list, because loading fails.', unit: '{answer}' },
    ({ failSafeServed }) => ({ '': failSafeServed }),
  ],
  [
    'popular_posts.takeovers',
    { description: 'Loads taken over from a process that died or gave up.', unit: '{load}' },
    ({ takeovers }) => ({ '': takeovers }),
  ],
  [
    'popular_posts.redis_failures',
    { description: 'How often Redis stopped replying.', unit: '{failure}' },
    ({ storeFailures }) => ({ '': storeFailures }),
  ],
  [
    'popular_posts.redis_refusals',
    { description: 'Commands that Redis refused, for example because its memory is full.', unit: '{command}' },
    ({ storeRefusals }) => ({ '': storeRefusals }),
  ],
  [
    'popular_posts.redis_evicted_keys',
    {
      description: 'Keys that Redis evicted, because its memory was full; those of other programs too.',
      unit: '{key}',
    },
    ({ storeEvictions }) => ({ '': storeEvictions }),
  ],
]

/** What reports to one meter: its instruments are made once, and shared by all calls with that meter. */
interface Watcher {
  /** How many calls have not been ended. */
  calls: number
  onEvent: (message: unknown) => void
}
const watchers = new WeakMap<Meter, Watcher>()

/**
 * Reports the metrics of all caches of this process to a meter of OpenTelemetry, from this call on: counters, and histograms of
 * loads and waits in seconds. It reads the diagnostics channel `fastify-popular-posts`. docs/metrics.md lists the metrics.
 * Several calls with one meter report each event once, until the last of them is ended; a call after that goes on with the
 * same counters.
 *
 * ```ts
 * const stop = watchWithOpenTelemetry(metrics.getMeter('blog'))
 * ```
 * @returns a function that ends the reports; the counters keep their last values.
 */
export function watchWithOpenTelemetry(meter: Meter): () => void {
  const watcher = watchers.get(meter) ?? createWatcher(meter)
  watchers.set(meter, watcher)
  if (watcher.calls === 0) subscribe('fastify-popular-posts', watcher.onEvent)
  watcher.calls += 1
  let isEnded = false
  return () => {
    if (isEnded) return
    isEnded = true
    watcher.calls -= 1
    if (watcher.calls === 0) unsubscribe('fastify-popular-posts', watcher.onEvent)
  }
}

function createWatcher(meter: Meter): Watcher {
  const counts = createCounts()
  for (const [name, description, read] of COUNTERS) {
    meter.createObservableCounter(name, description).addCallback((result) => {
      for (const [outcome, value] of Object.entries(read(counts.read())))
        result.observe(value, outcome === '' ? {} : { outcome })
    })
  }
  const loads = meter.createHistogram('popular_posts.load.duration', {
    description: 'Duration of loads of lists: the query and the storing of its result.',
    unit: 's',
  })
  const waits = meter.createHistogram('popular_posts.wait.duration', {
    description: 'Duration of waits for a load of another process.',
    unit: 's',
  })

  function onEvent(message: unknown): void {
    const event = message as CacheEvent
    counts.count(event)
    if (event.type === 'loaded') loads.record(event.durationMs / 1000, { outcome: 'loaded' })
    if (event.type === 'load-failed') loads.record(event.durationMs / 1000, { outcome: 'failed' })
    if (event.type === 'waited') waits.record(event.durationMs / 1000)
  }
  return { calls: 0, onEvent }
}
