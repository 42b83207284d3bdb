import { Histogram, type HistogramConfiguration, type LabelValues } from 'prom-client'

/** Bounds in seconds, from a read of a local copy to the longest load. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** The durations of one set of labels. `add` allocates nothing, and finds the bucket of hits first. */
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
}

type Configuration<Label extends string> = Omit<HistogramConfiguration<Label>, 'buckets' | 'collect'>

/**
 * A histogram of durations in seconds, for hot paths: each series counts by itself, and the values are collected at a scrape.
 * `observe` of prom-client looks up the labels at each call, which takes too long for a hit.
 */
export class DurationHistogram<Label extends string> extends Histogram<Label> {
  readonly #series: { labels: LabelValues<Label>; durations: Durations }[] = []

  readonly #configuration: Configuration<Label>

  constructor(configuration: Configuration<Label>) {
    super({ ...configuration, buckets: BUCKETS })
    this.#configuration = configuration
  }

  /** Creates a series. The caller keeps it, and adds durations to it. */
  series(labels: LabelValues<Label>): Durations {
    const durations = new Durations()
    this.#series.push({ labels, durations })
    return durations
  }

  /** Called by registries and by `get`. */
  async getForPromString() {
    const { name, help } = this.#configuration
    const values = this.#series.flatMap(({ labels, durations: { buckets, sumMs } }) => {
      let count = 0
      const line = (suffix: string, value: number, le = {}) => ({
        labels: { ...labels, ...le },
        sharedLabels: {},
        value,
        metricName: name + suffix,
      })
      const lines = buckets.map(({ le, count: more }) => {
        count += more
        return line('_bucket', count, { le })
      })
      return [...lines, line('_sum', sumMs / 1000), line('_count', count)]
    })
    return { name, help, type: 'histogram', values, aggregator: 'sum' }
  }
}
