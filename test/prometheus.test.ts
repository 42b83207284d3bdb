/** What Prometheus' own tool says about the metrics of the service, and about the alert rules. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { createService } from './helpers/blog.ts'
import { createTestDatabase } from './helpers/postgres.ts'
import { redisUrl } from './helpers/redis.ts'
import { type FoundProgram, findDebianProgram } from './helpers/services/find-debian-program.ts'
import { temporaryDirectory } from './helpers/temporary-directory.ts'

let promtool: FoundProgram | undefined
const reason = await findDebianProgram({
  name: 'promtool',
  debianPackage: 'prometheus',
  folder: 'usr/bin',
  versionArgs: ['--version'],
}).then((found) => {
  promtool = found
  return ''
}, String)

/** Runs promtool. Resolves to its exit code and its output. */
async function check(args: readonly string[], input = '') {
  const { program, env } = promtool ?? { program: '', env: {} }
  const child = spawn(program, args, { env: { ...process.env, ...env } })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  child.stdin.end(input)
  const [code] = await once(child, 'close')
  return { code: Number(code), output }
}

t.test('promtool', { skip: reason }, async (t) => {
  const { url } = await createTestDatabase(t)
  const app = await createService(t, url, { REDIS_URL: await redisUrl(), CACHE_PREFIX: `promtool-${process.pid}` })
  for (const path of ['/posts/popular', '/posts/popular?days=x', '/categories']) await app.inject(path)
  const { body } = await app.inject('/metrics')

  await t.test('check metrics finds nothing wrong', async (t) => {
    const { output } = await check(['check', 'metrics'], body)
    // prom-client has named its own gauges so.
    const known = /^nodejs_active_(?:handles|requests|resources)_total non-counter metrics/
    t.same(
      output.split('\n').filter((line) => line !== '' && !known.test(line)),
      [],
    )
    t.match(await check(['check', 'metrics'], 'popular_posts_up{a="b" 1\n'), { code: 1 }, 'it reads them')
  })

  await t.test('check rules accepts dashboards/alerts.yml', async (t) => {
    const { code, output } = await check(['check', 'rules', 'dashboards/alerts.yml'])
    t.equal(code, 0, output)
    t.match(output, /SUCCESS: \d+ rules found/)
  })

  await t.test('an alert fires when loads fail, and not before', async (t) => {
    const directory = await temporaryDirectory(t)
    const file = join(directory, 'test.yml')
    await writeFile(
      file,
      `rule_files: [${join(process.cwd(), 'dashboards/alerts.yml')}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - { series: 'popular_posts_loads_total{job="blog",outcome="failed"}', values: '0x5 1+1x10' }
      - { series: 'popular_posts_redis_up{job="blog",instance="a"}', values: '1x5 0x10' }
      - { series: 'up{job="blog",instance="a"}', values: '1x5 0x10' }
      - { series: 'popular_posts_memory_entries{job="blog",instance="a"}', values: '1x5 stale' }
      - { series: 'up{job="other",instance="b"}', values: '0x15' }
    alert_rule_test:
      - { eval_time: 5m, alertname: PopularPostsDatabaseFailing, exp_alerts: [] }
      - { eval_time: 5m, alertname: PopularPostsRedisDown, exp_alerts: [] }
      - { eval_time: 5m, alertname: PopularPostsDown, exp_alerts: [] }
    promql_expr_test:
      - expr: count by (alertname, alertstate) (ALERTS{alertname=~"PopularPosts(DatabaseFailing|RedisDown|Down)"})
        eval_time: 12m
        exp_samples:
          - { labels: '{alertname="PopularPostsDatabaseFailing", alertstate="firing"}', value: 1 }
          - { labels: '{alertname="PopularPostsRedisDown", alertstate="firing"}', value: 1 }
          - { labels: '{alertname="PopularPostsDown", alertstate="firing"}', value: 1 }
  - interval: 5m
    input_series:
      - { series: 'popular_posts_views_total{job="busy",instance="a",outcome="counted"}', values: '0+10x287 2870x24' }
      - { series: 'popular_posts_views_total{job="quiet",instance="a",outcome="counted"}', values: '0x250 1+0x61' }
      - { series: 'popular_posts_views_total{job="read",instance="a",outcome="counted"}', values: '0+10x311' }
      - { series: 'popular_posts_load_duration_seconds_bucket{job="busy",list="posts",le="1"}', values: '0x311' }
      - { series: 'popular_posts_load_duration_seconds_bucket{job="busy",list="posts",le="5"}', values: '0+3x311' }
      - { series: 'popular_posts_load_duration_seconds_bucket{job="busy",list="posts",le="+Inf"}', values: '0+3x311' }
      - { series: 'popular_posts_load_duration_seconds_bucket{job="read",list="posts",le="1"}', values: '0+3x311' }
      - { series: 'popular_posts_load_duration_seconds_bucket{job="read",list="posts",le="+Inf"}', values: '0+3x311' }
    promql_expr_test:
      - expr: count by (alertname, job) (ALERTS{alertname=~"PopularPosts(NoViews|LoadsSlow)", alertstate="firing"})
        eval_time: 25h30m
        exp_samples:
          - { labels: '{alertname="PopularPostsLoadsSlow", job="busy"}', value: 1 }
          - { labels: '{alertname="PopularPostsNoViews", job="busy"}', value: 1 }
      - expr: count by (alertname, job) (ALERTS{alertname="PopularPostsNoViews"})
        eval_time: 23h
        exp_samples: []
`,
    )
    const { code, output } = await check(['test', 'rules', file])
    t.equal(code, 0, output)
  })
})
