import { Counter, Gauge, type Registry, type RegistryContentType } from 'prom-client'

/** A registry, as prom-client 15 declares it. */
export type AnyRegistry = Registry<RegistryContentType>

/** A registry of prom-client: of any of its versions, which declare it in different ways. */
export interface Register {
  registerMetric(metric: never): void
}

interface CollectedMetric {
  name: string
  help: string
  /** The name of the label whose values `read` answers. */
  label?: string
  /** The present value, or values by label. */
  read: () => number | Record<string, number>
}

/** Metrics whose values are kept elsewhere, and read when somebody asks: they cost nothing in between. */
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
