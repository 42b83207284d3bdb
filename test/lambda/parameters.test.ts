import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { checkOut, runIn } from '../helpers/checkout.ts'
import { exampleParameters, type Parameters, writeParameters } from '../helpers/lambda/parameters.ts'
import { lossesOf, resourcesOf, type Stack } from '../helpers/lambda/stack-graph.ts'
import { findErrors } from '../helpers/lambda/template.ts'

const directory = await checkOut(t)
// The template depends on the parameters, not on the code.
await mkdir(join(directory, 'build', 'lambda'), { recursive: true })
for (const name of ['lambda.mjs', 'migrate.mjs']) await writeFile(join(directory, 'build', 'lambda', name), '')
const check = createRequire(import.meta.url)(join(directory, 'bundle', 'parameters.cjs')) as (
  osls: object,
) => Promise<unknown>
const osls = join(directory, 'node_modules', '.bin', 'osls')
const given = await exampleParameters(directory)
const EXISTING = {
  database: 'blog-db',
  databaseSecretArn: 'arn:aws:secretsmanager:eu-central-1:000000000000:secret:blog-AbCdEf',
  databaseSecurityGroupId: 'sg-0123abcd',
}

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of osls.
const VARIABLE = '${ssm:/blog/vpc}'

/** Packages with these parameters. Resolves to the stack that a deployment would make. */
async function pack(parameters: Parameters): Promise<Stack> {
  await writeParameters(directory, parameters)
  await runIn(directory, osls, 'package')
  const read = async (name: string) => JSON.parse(await readFile(join(directory, '.serverless', name), 'utf8'))
  const template = await read('cloudformation-template-update-stack.json')
  const state = await read('serverless-state.json')
  return { template, policy: state.service.provider.stackPolicy }
}

/** Parameters that may change at any time. */
const HARMLESS = {
  deletionProtection: 'yes',
  cloudFront: 'yes',
  siteTimeZone: 'Europe/Berlin',
  corsOrigin: 'https://blog.example',
  alarmTopicArn: 'arn:aws:sns:eu-central-1:000000000000:alarms',
}

const base = await pack(given)
const existing = await pack({ ...given, ...EXISTING })

t.test('a parameter that is missing, misspelt or wrong is refused, and named', async (t) => {
  for (const name of Object.keys(given)) {
    const { [name]: _, ...rest } = given
    // One run of osls for all of them would stop at the first.
    t.match(await problems(rest), `${name}: expected`, name)
  }
  const wrong: [Parameters, string][] = [
    [{ databseId: 'blog' }, 'databseId: there is no such parameter'],
    [{ vpcId: '' }, 'vpcId: expected the id of a VPC, such as vpc-0123abcd, got ""'],
    [{ vpcId: 'vpc_1' }, 'vpcId: expected the id of a VPC'],
    [{ subnetB: String(given['subnetA']) }, 'subnetB: expected another subnet than subnetA'],
    [{ cache: 'node' }, 'cache: expected serverless or nodes, got "node"'],
    [{ cloudFront: true as unknown as string }, 'cloudFront: expected yes or no, got true'],
    [{ database: 'New' }, 'database: expected new, or the identifier of an RDS instance'],
    [{ database: 'blog-db' }, 'databaseSecretArn: expected that of blog-db, got nothing'],
    [{ ...EXISTING, database: 'new' }, 'databaseSecurityGroupId: expected nothing with database: new'],
    [{ databaseUser: 'Robert"; drop' }, 'databaseUser: expected lower-case letters'],
  ]
  for (const [change, problem] of wrong) t.match(await problems({ ...given, ...change }), problem)
  t.equal(await problems({ ...given, ...EXISTING }), '')
  t.equal(await problems({ ...given, vpcId: VARIABLE }), '', 'osls resolves a variable')
  t.match(await problems([] as unknown as Parameters), 'vpcId: expected')
  t.match(await problems('vpcId' as unknown as Parameters), 'expected names and values')

  await writeParameters(directory, given)
  const dev = async () => 'dev'
  await t.rejects(check({ options: { param: ['vpcId=vpc-0123abcd'] }, resolveVariable: dev }), {
    message: /--param is not read/,
  })
  await t.rejects(check({ options: {}, resolveVariable: async () => 'prod' }), {
    message: /^aws\/parameters\/prod\.yml is not usable:\n {2}expected this file: copy aws\/parameters\/example\.yml/,
  })
  const { vpcId: _, ...noVpc } = given
  await writeParameters(directory, noVpc)
  const said = await runIn(directory, osls, 'package').then(
    () => 'osls accepted this',
    (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
  )
  t.match(said, 'aws/parameters/dev.yml is not usable:\n  vpcId: expected the id of a VPC')
  t.notMatch(said, /at .*parameters\.cjs:\d/, 'no stack')
})

t.test('the example needs a VPC and subnets, and nothing else', async (t) => {
  const example = parse(await readFile(join(directory, 'aws', 'parameters', 'example.yml'), 'utf8'))
  const said = await problems(example)
  t.same(
    [...said.matchAll(/^ {2}(\w+): expected/gm)].map(([, name]) => name),
    ['vpcId', 'subnetA', 'subnetB'],
  )
})

t.test('a change of a parameter never replaces or deletes the database or the cache', async (t) => {
  const changes: { change: Parameters; from?: Stack; expected: Record<string, RegExp> }[] = [
    { change: { vpcId: 'vpc-0999abcd' }, expected: { 'Update:Replace': /Security|^LambdaTo|^ProxyTo|^DatabaseFrom/ } },
    {
      change: { subnetA: 'subnet-0999abcd' },
      expected: { 'Update:Replace': /^(?:Cache|DatabaseProxy|DatabaseProxyTargets)$/ },
    },
    {
      change: { subnetB: 'subnet-0999abcd' },
      expected: { 'Update:Replace': /^(?:Cache|DatabaseProxy|DatabaseProxyTargets)$/ },
    },
    {
      change: EXISTING,
      expected: {
        'Update:Delete': /^Database(?:|Subnets|SecurityGroup)$/,
        'Update:Replace': /^(?:ProxyToDatabase|DatabaseFromProxy)$/,
      },
    },
    {
      change: { database: 'new', databaseSecretArn: '', databaseSecurityGroupId: '' },
      from: existing,
      expected: { 'Update:Replace': /^(?:ProxyToDatabase|DatabaseFromProxy)$/ },
    },
    { change: { databaseName: 'other' }, expected: { 'Update:Replace': /^Database$/ } },
    { change: { databaseUser: 'other' }, expected: { 'Update:Replace': /^Database$/ } },
    { change: { cache: 'nodes' }, expected: { 'Update:Delete': /^Cache$/ } },
    { change: HARMLESS, expected: {} },
  ]
  t.same(
    Object.keys(given).filter((name) => !changes.some(({ change }) => name in change)),
    [],
    'a change of each parameter is tried',
  )
  for (const { change, from = base, expected } of changes) {
    const label = JSON.stringify(change)
    const next = await pack({ ...given, ...change })
    const losses = lossesOf(from, next.template)
    for (const { name, action, isDenied } of losses) {
      t.match(name, expected[action] ?? /^$/, `${label}: ${action} ${name}`)
      const isKept = ['Database', 'Cache', 'CacheNodes'].includes(name)
      t.equal(isDenied, isKept, `${label}: the stack policy ${isKept ? 'refuses' : 'allows'} ${action} of ${name}`)
    }
    for (const [action, names] of Object.entries(expected))
      t.ok(
        losses.some((loss) => loss.action === action && names.test(loss.name)),
        `${label}: ${action}`,
      )
  }
  const nodes = await pack({ ...given, cache: 'nodes' })
  t.match(lossesOf(nodes, base.template), [{ name: 'CacheSubnets' }, { name: 'CacheNodes', isDenied: true }])
})

t.test('deletion protection is a parameter, and a stack without it can be removed', async (t) => {
  const database = ({ template }: Stack) => resourcesOf(template).get('Database')
  t.match(database(base), { Properties: { DeletionProtection: false }, DeletionPolicy: 'Snapshot' })
  const safe = await pack({ ...given, deletionProtection: 'yes' })
  t.match(database(safe), { Properties: { DeletionProtection: true } })
  t.same(findErrors(join(directory, '.serverless', 'cloudformation-template-update-stack.json')), [])
})

t.test('a new account, which may run ten functions at once, can deploy', async (t) => {
  for (const [name, { Type, Properties }] of resourcesOf(base.template))
    if (Type === 'AWS::Lambda::Function') t.notOk(Properties?.['ReservedConcurrentExecutions'], name)
})

/** The problems that the check finds in these parameters, as text. */
async function problems(parameters: Parameters): Promise<string> {
  await writeParameters(directory, parameters)
  return check({ options: {}, resolveVariable: async () => 'dev' }).then(
    () => '',
    (error: Error) => error.message,
  )
}
