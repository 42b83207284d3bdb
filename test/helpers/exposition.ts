/** A metric as Prometheus reads it. */
export interface Metric {
  type: string
  help: string
  /** Values of each label, `le` aside. */
  labels: Map<string, Set<string>>
  /** Value by what is between the braces, of the metric itself or with a suffix: `_count{outcome="hit"}`. */
  samples: Map<string, number>
}

/** Reads the text format of Prometheus; fails at a line that is none of it. */
export function readExposition(text: string): Map<string, Metric> {
  const metrics = new Map<string, Metric>()
  let [name, help] = ['', '']
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const [, word, ...comment] = /^# (HELP|TYPE) (\w+) (.+)$/.exec(line) ?? []
    if (word === 'HELP') [name = '', help = ''] = comment
    else if (word === 'TYPE') metrics.set(name, { type: comment[1] ?? '', help, labels: new Map(), samples: new Map() })
    else {
      const [, sample = '', braces = '', value] = /^(\w+)(\{.*\})? (\S+)$/.exec(line) ?? []
      const metric = metrics.get(name)
      const suffix = sample.slice(name.length)
      if (metric === undefined || !sample.startsWith(name) || !/^(?:_bucket|_sum|_count|)$/.test(suffix))
        throw new Error(`expected a sample of ${name}, got ${line}`)
      metric.samples.set(suffix + braces, Number(value))
      for (const [, label = '', of = ''] of braces.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
        if (label !== 'le') metric.labels.set(label, (metric.labels.get(label) ?? new Set()).add(of))
      }
    }
  }
  return metrics
}
