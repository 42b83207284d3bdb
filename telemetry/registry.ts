/** A `Registry` of prom-client, of any version: the versions declare it in different ways. */
export interface Register {
  /** Adds a metric. */
  registerMetric(metric: never): void
}
