import { readFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { createService } from './helpers/blog.ts'
import { readExposition } from './helpers/exposition.ts'
import { createTestDatabase } from './helpers/postgres.ts'
import { readPromql } from './helpers/promql.ts'
import { redisUrl } from './helpers/redis.ts'

const read = (file: string) => readFileSync(new URL(`../${file}`, import.meta.url), 'utf8')

interface Rule {
  alert: string
  expr: string
  for?: string
  labels: Record<string, string>
  annotations: Record<string, string>
}
interface Panel {
  id: number
  type: string
  title: string
  description?: string
  gridPos: { x: number; y: number; w: number; h: number }
  targets?: { refId: string; expr: string; legendFormat?: string }[]
}
interface Dashboard {
  uid: string
  schemaVersion: number
  templating: { list: { name: string; type: string; definition?: string }[] }
  panels: Panel[]
}

const { groups } = parse(read('dashboards/alerts.yml')) as { groups: { name: string; rules: Rule[] }[] }
const dashboard = JSON.parse(read('dashboards/grafana.json')) as Dashboard
const panels = dashboard.panels.filter(({ type }) => type !== 'row')

const { url } = await createTestDatabase(t)
const app = await createService(t, url, { REDIS_URL: await redisUrl(), CACHE_PREFIX: `dashboards-${process.pid}` })
// Series by route exist only after a request.
for (const path of ['/posts/popular', '/posts/popular?days=x']) await app.inject(path)
const metrics = readExposition((await app.inject('/metrics')).body)

/** The labels that Prometheus adds. */
const TARGET_LABELS = ['job', 'instance']

/** Checks that an expression uses exposed metrics, with functions for their types. */
function checks(t: Test, what: string, expression: string): void {
  const { selectors, functions, labels } = readPromql(expression)
  t.ok(selectors.length > 0, what)
  const isPresence = functions.includes('present_over_time')
  const known = new Set(TARGET_LABELS)
  for (const { name, isRange, matchers } of selectors) {
    // Prometheus itself makes it.
    if (name === 'up') continue
    const base = metrics.has(name) ? name : name.replace(/_(?:bucket|count|sum)$/, '')
    const metric = metrics.get(base)
    if (metric === undefined) {
      t.fail(`${what}: ${name} is a metric of the service`)
      continue
    }
    const isCounted = metric.type !== 'gauge'
    t.equal(
      isRange,
      isCounted || isPresence,
      `${what}: ${name}, a ${metric.type}, ${isCounted ? 'by its rate' : 'as it is'}`,
    )
    t.equal(base !== name, metric.type === 'histogram', `${what}: ${name} is what a ${metric.type} has`)
    for (const label of [...metric.labels.keys(), ...(name.endsWith('_bucket') ? ['le'] : [])]) known.add(label)
    for (const { label, operator, value } of matchers) {
      if (TARGET_LABELS.includes(label)) continue
      const values = [...(metric.labels.get(label) ?? [])]
      const pattern = new RegExp(`^(?:${value})$`)
      const isMet = values.some((one) => (operator === '=~' ? pattern.test(one) : operator === '=' && one === value))
      t.ok(isMet, `${what}: ${name} has ${label}${operator}"${value}", as in ${values.join(', ')}`)
    }
  }
  for (const label of labels) t.ok(known.has(label), `${what}: ${label} is a label of these`)
  for (const name of functions) t.match(name, /^(?:rate|increase|histogram_quantile|present_over_time)$/, what)
  if (functions.includes('histogram_quantile')) t.ok(labels.includes('le'), `${what}: buckets are kept apart`)
}

/** The expression that Grafana sends. */
function filledIn(expression: string): string {
  return expression
    .replaceAll('$__rate_interval', '5m')
    .replaceAll('$__range', '6h')
    .replaceAll(/\$(?:job|instance)\b/g, '.*')
}

t.test('alerts.yml is a rule file', async (t) => {
  t.same(Object.keys(parse(read('dashboards/alerts.yml')) as object), ['groups'])
  for (const { name, rules, ...others } of groups) {
    t.match(name, /\w/)
    t.same(others, {})
    for (const { alert, expr, for: duration = '0s', labels, annotations, ...more } of rules) {
      t.match(alert, /^PopularPosts[A-Z][A-Za-z]+$/)
      t.same(more, {}, `${alert}: nothing that Prometheus does not know`)
      t.match(duration, /^\d+[smhd]$/)
      t.match(labels, { severity: /^(?:warning|critical)$/ })
      t.same(Object.keys(annotations), ['summary', 'description', 'runbook_url'])
      for (const [, used = ''] of Object.values(annotations)
        .join(' ')
        .matchAll(/\$labels\.(\w+)/g))
        t.ok(readPromql(expr).labels.includes(used), `${alert}: ${used} is left by the expression`)
      // The anchor that GitHub creates from a heading.
      t.equal(annotations['runbook_url'], `docs/operating.md#${alert.toLowerCase()}`)
      checks(t, alert, expr)
    }
  }
})

t.test('docs/metrics.md names all alerts', async (t) => {
  const rows = [...read('docs/metrics.md').matchAll(/^\| (PopularPosts\w+) \|/gm)].map(([, alert]) => alert)
  t.same(
    rows,
    groups.flatMap(({ rules }) => rules.map(({ alert }) => alert)),
  )
})

t.test('grafana.json uses only metrics that the service exposes', async (t) => {
  t.match(dashboard, { uid: 'fastify-popular-posts', schemaVersion: Number })
  t.equal(new Set(dashboard.panels.map(({ id }) => id)).size, dashboard.panels.length, 'ids are unique')
  for (const { title, description, targets = [] } of panels) {
    t.match(description, /\.$/, `${title}: says what it is`)
    t.ok(targets.length > 0, title)
    for (const { expr, legendFormat = '' } of targets) {
      checks(t, title, filledIn(expr))
      for (const [, label = ''] of legendFormat.matchAll(/\{\{(\w+)\}\}/g))
        t.ok(readPromql(filledIn(expr)).labels.includes(label), `${title}: ${label} is left by the expression`)
    }
  }
  for (const { name, definition } of dashboard.templating.list.filter(({ type }) => type === 'query')) {
    const [, selector = '', label] = /^label_values\((.+), (\w+)\)$/.exec(definition ?? '') ?? []
    t.equal(label, name)
    for (const { name: metric } of readPromql(filledIn(selector)).selectors) t.ok(metrics.has(metric), metric)
  }
})

t.test('the panels of the dashboard do not overlap', async (t) => {
  for (const one of dashboard.panels) {
    const { x, y, w, h } = one.gridPos
    t.ok(x + w <= 24, one.title)
    const over = dashboard.panels.filter(({ id, gridPos: other }) => {
      const isBeside = other.x >= x + w || other.x + other.w <= x || other.y >= y + h || other.y + other.h <= y
      return id !== one.id && !isBeside
    })
    t.same(over, [], one.title)
  }
})

t.test('every metric of the cache and of views is on the dashboard', async (t) => {
  const shown = panels.flatMap(({ targets = [] }) =>
    targets.flatMap(({ expr }) => readPromql(filledIn(expr)).selectors.map(({ name }) => name)),
  )
  for (const name of [...metrics.keys()].filter((name) => name.startsWith('popular_posts_')))
    t.ok(
      shown.some((one) => one.replace(/_(?:bucket|count|sum)$/, '') === name),
      name,
    )
})

t.test('an invalid expression, and an unknown metric, are detected', async (t) => {
  t.throws(() => readPromql('rate(a[5m]) > > 1'), /wrong at/)
  t.throws(() => readPromql('sum by (a'), /wrong at/)
  t.throws(() => readExposition('# HELP a A.\n# TYPE a counter\nb{x="1"} 2'), /expected a sample of a, got b/)
})
