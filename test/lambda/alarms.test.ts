import { readFile } from 'node:fs/promises'
import t from 'tap'
import { parse } from 'yaml'
import { logEvent } from '../../telemetry/log-event.ts'
import { createPacker } from '../helpers/lambda/pack.ts'
import { resourcesOf, type Stack } from '../helpers/lambda/stack-graph.ts'

const { given, pack, packHosted, errors } = await createPacker(t)
const HOSTED = {
  DATABASE_URL: 'postgres://blog:secret@db.example/blog?sslmode=verify-full',
  REDIS_URL: 'rediss://default:secret@redis.example:6379',
}
const EXISTING = { database: 'blog-db', databaseHost: 'blog-db.example.com', databaseSecurityGroupId: 'sg-0123abcd' }
const ALARMS = 'arn:aws:sns:eu-central-1:000000000000:alarms'

/** The alarms of every stack. */
const OF_FUNCTIONS = [
  'Api5xxAlarm AWS/ApiGateway 5xx',
  'ApiErrorsAlarm AWS/Lambda Errors',
  'ApiThrottlesAlarm AWS/Lambda Throttles',
  'CacheLostAlarm popular-posts CacheLost',
  'FlushErrorsAlarm AWS/Lambda Errors',
  'FlushMissingAlarm AWS/Lambda Invocations',
  'ViewsDroppedAlarm popular-posts ViewsDropped',
]
const OF_DATABASE = [
  'DatabaseConnectionsAlarm AWS/RDS DatabaseConnections',
  'DatabaseCreditsAlarm AWS/RDS CPUSurplusCreditBalance',
  'DatabaseStorageAlarm AWS/RDS FreeStorageSpace',
]
const OF_CACHE = ['CacheMemoryAlarm AWS/ElastiCache Evictions', 'CacheThrottlesAlarm AWS/ElastiCache ThrottledCmds']
const OF_NODES = ['CacheMemoryAlarm AWS/ElastiCache Evictions', 'CacheSecondMemoryAlarm AWS/ElastiCache Evictions']

function alarmsOf({ template }: Stack) {
  const all = [...resourcesOf(template)].filter(([, { Type }]) => Type === 'AWS::CloudWatch::Alarm')
  return all.map(([name, { Properties = {} }]) => ({ name, properties: Properties as Record<string, string> }))
}

const summary = (stack: Stack) =>
  alarmsOf(stack)
    .map(
      ({ name, properties: { Namespace, MetricName } }) =>
        `${name} ${Namespace?.replace(/^(popular-posts).*/, '$1')} ${MetricName}`,
    )
    .sort()

t.test('each stack has the alarms of its servers', async (t) => {
  const stacks: [string, () => Promise<Stack>, string[]][] = [
    ['new', () => pack(given), [...OF_FUNCTIONS, ...OF_DATABASE, ...OF_CACHE]],
    [
      'a database of its own, nodes',
      () => pack({ ...given, ...EXISTING, cache: 'nodes' }),
      [...OF_FUNCTIONS, ...OF_NODES],
    ],
    ['hosted', () => packHosted(HOSTED), OF_FUNCTIONS],
  ]
  for (const [name, make, expected] of stacks) {
    const stack = await make()
    t.same(errors(), [], name)
    t.same(summary(stack), expected.sort(), name)
    const resources = resourcesOf(stack.template)
    const descriptions = alarmsOf(stack).map(({ properties }) => String(properties['AlarmDescription']))
    for (const { name: alarm, properties } of alarmsOf(stack)) {
      const named = [...JSON.stringify(properties['Dimensions'] ?? '').matchAll(/"Ref":"(\w+)"|\$\{(\w+)\}/g)]
      for (const [, ref, sub] of named) t.ok(resources.has(String(ref ?? sub)), `${name}: ${alarm} watches what exists`)
      t.notOk(properties['AlarmActions'], `${name}: ${alarm} notifies no topic`)
    }
    const isSecondNode = (text: string, index: number) => descriptions.indexOf(text) !== index
    t.ok(descriptions.filter(isSecondNode).length <= 1, 'each names its cause')
  }
})

t.test('alarms notify the topic', async (t) => {
  const stacks = [
    await pack({ ...given, alarmTopicArn: ALARMS }),
    await packHosted({ ...HOSTED, ALARM_TOPIC_ARN: ALARMS }),
  ]
  for (const stack of stacks)
    for (const { name, properties } of alarmsOf(stack)) t.same(properties['AlarmActions'], [ALARMS], name)
})

t.test('the lines of the log that alarms look for are those that the functions write', async (t) => {
  const lines: string[] = []
  const write = (_: object, message: string) => void lines.push(message)
  const log = { debug: write, info: write, warn: write }
  const error = new Error('down')
  logEvent(log, { type: 'store-down', error })
  logEvent(log, { type: 'store-still-down', error, downMs: 1_000 } as never)
  logEvent(log, { type: 'store-refused', error, isFirst: true })
  const sources = ['views/post-views.ts', 'composition/services.ts'].map((file) => readFile(file, 'utf8'))
  const written = [...lines, ...(await Promise.all(sources))].join('\n')
  const alarms = parse(await readFile('aws/alarms.yml', 'utf8'), { logLevel: 'silent', merge: true })
  const patterns = Object.values(alarms as Record<string, { Properties: { FilterPattern?: string } }>).flatMap(
    ({ Properties: { FilterPattern } }) => FilterPattern ?? [],
  )
  t.equal(patterns.length, 4)
  const terms = new Set(
    patterns.flatMap((pattern) => [...pattern.matchAll(/"([^"]+)"/g)].map(([, term]) => String(term))),
  )
  t.equal(terms.size, 5)
  for (const term of terms) t.ok(written.includes(term), term)
})

t.test(
  'the stack of hosted servers has no VPC and no server, and none of its resources are those of the other stack',
  async (t) => {
    const { template } = await packHosted({ ...HOSTED, MIGRATE_DATABASE_URL: 'postgres://owner@db.example/blog' })
    const resources = resourcesOf(template)
    for (const [name, { Type, Properties }] of resources) {
      t.match(Type, /^AWS::(?:ApiGatewayV2|CloudWatch|Events|IAM|Lambda|Logs|S3)::/, name)
      t.notOk(Properties?.['VpcConfig'], name)
    }
    const { template: other } = await pack(given)
    const routesOf = (all: Stack['template']) => Object.keys(all.Resources).filter((name) => name.includes('Route'))
    t.same(routesOf(template), routesOf(other), 'the same routes')
    const variablesOf = (name: string) => resources.get(name)?.Properties?.['Environment']
    t.match(variablesOf('ApiLambdaFunction'), { Variables: HOSTED })
    t.match(variablesOf('MigrateLambdaFunction'), { Variables: { DATABASE_URL: 'postgres://owner@db.example/blog' } })
    t.match(resources.get('ApiLambdaFunction')?.Properties, { FunctionName: 'popular-posts-hosted-dev-api' })
    const refusal = await packHosted({ REDIS_URL: HOSTED.REDIS_URL }).then(
      () => 'osls accepted this',
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    )
    t.match(refusal, /DATABASE_URL.*Value not found/, 'a forgotten variable')
  },
)

t.test('the table of costs has as many alarms and routes as the stack', async (t) => {
  const document = await readFile('docs/deploy.md', 'utf8')
  const stack = await pack(given)
  const routes = [...resourcesOf(stack.template).values()].filter(({ Type }) => Type === 'AWS::ApiGatewayV2::Route')
  t.ok(document.includes(`: ${alarmsOf(stack).length}; ten of an account are free`))
  t.ok(document.includes(`${routes.length} routes with 6 each`), `${routes.length} routes`)
})
