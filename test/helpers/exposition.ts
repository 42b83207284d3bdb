/** A metric in the text format of Prometheus. */
export interface Metric {
  type: string
  help: string
  /** Values of each label except `le`. */
  labels: Map<string, Set<string>>
  /** Values by suffix and labels, as in `_count{outcome="hit"}`. */
  samples: Map<string, number>
}

/** Parses the text format of Prometheus. @throws at a line in another format. */
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
