import type { AnyRegistry } from './collected-metrics.ts'

/** Upper bounds in seconds: from a hit in the memory of the process to the longest load. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Durations under one set of labels. `add` allocates nothing, and reaches the bucket of the shortest ones, hits, first. */
export class Durations {
  readonly buckets = [...BUCKETS, Number.POSITIVE_INFINITY].map((seconds) => ({
    le: seconds === Number.POSITIVE_INFINITY ? '+Inf' : seconds,
    upToMs: seconds * 1000,
    count: 0,
  }))
  sumMs = 0

  add(durationMs: number): void {
    this.sumMs += durationMs
    for (const bucket of this.buckets) {
      if (durationMs > bucket.upToMs) continue
      bucket.count += 1
      break
    }
  }

  reset(): void {
    this.sumMs = 0
    for (const bucket of this.buckets) bucket.count = 0
  }
}

type Labels = Record<string, string | number>

/**
 * A histogram of seconds, as a registry of prom-client collects it. Durations are counted here, because `observe` of
 * prom-client looks labels up each time, which takes longer than a hit.
 */
export class DurationHistogram {
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly name: string
  readonly help: string
  readonly #series: { labels: Labels; durations: Durations }[] = []

  constructor(register: AnyRegistry, name: string, help: string) {
    this.name = name
    this.help = help
    // What a registry calls of a metric: `get`, and `reset`.
    register.registerMetric(this as never)
  }

  /** Returns the place where durations with these labels are counted; the caller keeps it. */
  series(labels: Labels): Durations {
    const durations = new Durations()
    this.#series.push({ labels, durations })
    return durations
  }

  async get() {
    const { name, help, type, aggregator } = this
    const values = this.#series.flatMap(({ labels, durations: { buckets, sumMs } }) => {
      let count = 0
      const cumulative = buckets.map((bucket) => {
        count += bucket.count
        return { metricName: `${name}_bucket`, labels: { ...labels, le: bucket.le }, value: count }
      })
      return [
        ...cumulative,
        { metricName: `${name}_sum`, labels, value: sumMs / 1000 },
        { metricName: `${name}_count`, labels, value: count },
      ]
    })
    return { name, help, type, aggregator, values }
  }

  reset(): void {
    for (const { durations } of this.#series) durations.reset()
  }
}
