import { Counter, Gauge, type Registry, type RegistryContentType } from 'prom-client'

/** A registry with the types of prom-client 15. */
export type AnyRegistry = Registry<RegistryContentType>

interface CollectedMetric {
  name: string
  help: string
  /** The name of the label; `read` returns the values by label. Default: the metric has no label. */
  label?: string
  /** Returns the present value, or the values by label. */
  read: () => number | Record<string, number>
}

/** Registers metrics whose values are read when Prometheus scrapes them: between scrapes they cost nothing. */
export function registerCollected(
  register: AnyRegistry,
  type: 'counter' | 'gauge',
  metrics: readonly CollectedMetric[],
): void {
  const Metric = type === 'counter' ? Counter : Gauge
  for (const { name, help, label, read } of metrics) {
    const labelNames = label === undefined ? [] : [label]
    const metric: Counter | Gauge = new Metric({
      name,
      help,
      labelNames,
      registers: [register],
      collect() {
        const value = read()
        metric.reset()
        if (label === undefined) metric.inc(Number(value))
        else for (const [name, count] of Object.entries(value)) metric.inc({ [label]: name }, count)
      },
    })
  }
}
