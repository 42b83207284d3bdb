import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { runIn } from '../helpers/checkout.ts'
import { createPacker } from '../helpers/lambda/pack.ts'
import { type Parameters, writeParameters } from '../helpers/lambda/parameters.ts'
import { lossesOf, resourcesOf, type Stack } from '../helpers/lambda/stack-graph.ts'

const { directory, osls, given, pack, errors } = await createPacker(t)
const check = createRequire(import.meta.url)(join(directory, 'bundle', 'parameters.cjs')) as (
  osls: object,
) => Promise<unknown>
const EXISTING = {
  database: 'blog-db',
  databaseHost: 'blog-db.abcdefghijkl.eu-central-1.rds.amazonaws.com',
  databaseSecretArn: 'arn:aws:secretsmanager:eu-central-1:000000000000:secret:blog-AbCdEf',
  databaseSecurityGroupId: 'sg-0123abcd',
}
const PROXY = { databaseProxy: 'yes' }

// biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of osls.
const VARIABLE = '${ssm:/blog/vpc}'

/** Parameters that may change at any time. */
const HARMLESS = {
  deletionProtection: 'yes',
  cloudFront: 'yes',
  siteTimeZone: 'Europe/Berlin',
  corsOrigin: 'https://blog.example',
  databaseUser: 'other',
  databaseSchema: 'popular_posts',
  clientSecurityGroupId: 'sg-0999abcd',
  alarmTopicArn: 'arn:aws:sns:eu-central-1:000000000000:alarms',
}

const base = await pack(given)
const existing = await pack({ ...given, ...EXISTING })
const withProxy = await pack({ ...given, ...PROXY })

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
    [{ ...EXISTING, databaseHost: '' }, 'databaseHost: expected that of blog-db, got nothing'],
    [
      { ...EXISTING, databaseHost: 'blog-db:5432' },
      'databaseHost: expected the endpoint of the instance, without a port',
    ],
    [{ ...EXISTING, ...PROXY, databaseSecretArn: '' }, 'databaseSecretArn: expected that of blog-db, got nothing'],
    [{ ...EXISTING, databaseSecurityGroupId: '' }, 'databaseSecurityGroupId: expected that of blog-db, got nothing'],
    [{ ...EXISTING, database: 'new' }, 'databaseSecurityGroupId: expected nothing with database: new'],
    [{ databaseUser: 'Robert"; drop' }, 'databaseUser: expected lower-case letters'],
    [{ databaseUser: String(given['migrateUser']) }, 'databaseUser: expected another user than migrateUser'],
    [
      { databaseSchema: 'Blog' },
      'databaseSchema: expected lower-case letters, digits and underscores, with no digit first, or nothing',
    ],
    [{ clientSecurityGroupId: 'blog' }, 'clientSecurityGroupId: expected the id of a security group'],
  ]
  for (const [change, problem] of wrong) t.match(await problems({ ...given, ...change }), problem)
  for (const more of [
    EXISTING,
    { ...EXISTING, databaseSecretArn: '' },
    { ...EXISTING, ...PROXY, databaseHost: '' },
    PROXY,
  ])
    t.equal(await problems({ ...given, ...more }), '')
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
    { change: { vpcId: 'vpc-0999abcd' }, expected: { 'Update:Replace': /Security|^LambdaTo|^DatabaseFrom/ } },
    { change: { subnetA: 'subnet-0999abcd' }, expected: { 'Update:Replace': /^Cache$/ } },
    { change: { subnetB: 'subnet-0999abcd' }, expected: { 'Update:Replace': /^Cache$/ } },
    {
      change: { ...PROXY, subnetA: 'subnet-0999abcd' },
      from: withProxy,
      expected: { 'Update:Replace': /^(?:Cache|DatabaseProxy|DatabaseProxyTargets)$/ },
    },
    {
      change: { databaseProxy: 'no' },
      from: withProxy,
      expected: { 'Update:Delete': /Proxy/ },
    },
    { change: PROXY, expected: { 'Update:Delete': /^(?:LambdaToDatabase|DatabaseFromLambda)$/ } },
    {
      change: { ...EXISTING, ...PROXY },
      from: existing,
      expected: { 'Update:Delete': /^(?:LambdaToDatabase|DatabaseFromLambda)$/ },
    },
    {
      change: EXISTING,
      expected: {
        'Update:Delete': /^Database(?:|Subnets|SecurityGroup|\w+Alarm)$/,
        'Update:Replace': /^(?:LambdaToDatabase|DatabaseFromLambda)$/,
      },
    },
    {
      change: { database: 'new', databaseHost: '', databaseSecretArn: '', databaseSecurityGroupId: '' },
      from: existing,
      expected: { 'Update:Replace': /^(?:LambdaToDatabase|DatabaseFromLambda)$/ },
    },
    { change: { databaseName: 'other' }, expected: { 'Update:Replace': /^Database$/ } },
    { change: { migrateUser: 'other' }, expected: { 'Update:Replace': /^Database$/ } },
    { change: { cache: 'nodes' }, expected: { 'Update:Delete': /^Cache(?:|ThrottlesAlarm)$/ } },
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
  t.match(lossesOf(nodes, base.template), [
    { name: 'CacheSubnets' },
    { name: 'CacheNodes', isDenied: true },
    { name: 'CacheSecondMemoryAlarm' },
  ])
})

t.test('deletion protection is a parameter, and a stack without it can be removed', async (t) => {
  const database = ({ template }: Stack) => resourcesOf(template).get('Database')
  t.match(database(base), { Properties: { DeletionProtection: false }, DeletionPolicy: 'Snapshot' })
  const safe = await pack({ ...given, deletionProtection: 'yes' })
  t.match(database(safe), { Properties: { DeletionProtection: true } })
  t.same(errors(), [])
})

t.test('only the function migrate can sign in as the user that makes the tables', async (t) => {
  const all = resourcesOf(base.template)
  const rightsOf = (role: string) => JSON.stringify(all.get(role)?.Properties?.['Policies'])
  const roleOf = (name: string) => JSON.stringify(all.get(name)?.Properties?.['Role'])
  const variablesOf = (name: string) => JSON.stringify(all.get(name)?.Properties?.['Environment'])
  t.match(roleOf('MigrateLambdaFunction'), '"MigrateRole"')
  t.match(variablesOf('MigrateLambdaFunction'), 'postgres://popular_posts@')
  t.match(rightsOf('MigrateRole'), '}/popular_posts"')
  for (const name of ['ApiLambdaFunction', 'FlushLambdaFunction', 'InvalidateLambdaFunction']) {
    t.match(roleOf(name), '"IamRoleLambdaExecution"', name)
    t.match(variablesOf(name), 'postgres://popular_posts_api@', name)
    t.notMatch(variablesOf(name), 'DATABASE_SERVICE_USER', name)
  }
  t.match(rightsOf('IamRoleLambdaExecution'), '}/popular_posts_api"')
  t.notMatch(rightsOf('IamRoleLambdaExecution'), '/popular_posts"')
  t.match(all.get('Database'), { Properties: { MasterUsername: 'popular_posts' } })
})

t.test('the functions reach the database, or the proxy and it the database, and sign in there', async (t) => {
  const ways = [
    {
      parameters: {},
      host: 'Database","Endpoint.Address',
      more: '&sslrootcert=/var/runtime/ca-cert.pem',
      id: 'Database","DbiResourceId',
      rules: ['DatabaseFromLambda', 'LambdaToDatabase'],
    },
    {
      parameters: EXISTING,
      host: EXISTING.databaseHost,
      more: '&sslrootcert=/var/runtime/ca-cert.pem',
      id: '"*"',
      rules: ['DatabaseFromLambda', 'LambdaToDatabase'],
    },
    {
      parameters: PROXY,
      host: 'DatabaseProxy","Endpoint',
      more: '"authority":""',
      id: 'DatabaseProxy","DBProxyArn',
      rules: ['DatabaseFromProxy', 'LambdaToProxy', 'ProxyToDatabase'],
    },
  ]
  for (const { parameters, host, more, id, rules } of ways) {
    const all = resourcesOf((await pack({ ...given, ...parameters })).template)
    t.same(errors(), [])
    for (const name of ['ApiLambdaFunction', 'MigrateLambdaFunction']) {
      const variables = all.get(name)?.Properties?.['Environment'] as { Variables: object }
      const url = JSON.stringify((variables.Variables as Record<string, unknown>)['DATABASE_URL'])
      for (const part of [host, more, ':5432/blog?sslmode=verify-full']) t.ok(url.includes(part), `${url} has ${part}`)
    }
    for (const role of ['IamRoleLambdaExecution', 'MigrateRole'])
      t.ok(JSON.stringify(all.get(role)).includes(id), `${role} may sign in to ${id}`)
    t.same([...all.keys()].filter((name) => /^(?!.*Cache).*(?:To|From)[A-Z]/.test(name)).sort(), rules)
    t.equal(all.has('DatabaseProxy'), rules.includes('LambdaToProxy'))
  }
})

t.test('a blog reaches the database by its security group, and finds it by the outputs', async (t) => {
  t.notOk(resourcesOf(base.template).has('DatabaseFromClient'))
  for (const more of [{}, EXISTING]) {
    const { template } = await pack({ ...given, ...more, clientSecurityGroupId: 'sg-0999abcd' })
    const group = 'database' in more ? EXISTING.databaseSecurityGroupId : { 'Fn::GetAtt': ['DatabaseSecurityGroup'] }
    t.match(resourcesOf(template).get('DatabaseFromClient'), {
      Properties: { GroupId: group, SourceSecurityGroupId: 'sg-0999abcd', FromPort: 5432, ToPort: 5432 },
    })
    t.same(errors(), [])
    const { Outputs } = template as unknown as { Outputs: Record<string, { Condition?: string }> }
    t.match(Outputs, {
      DatabaseProxyEndpoint: { Condition: 'HasProxy' },
      FunctionsSecurityGroup: {},
      DatabaseEndpoint: { Condition: 'NewDatabase' },
      DatabaseSecret: { Condition: 'NewDatabase' },
      DatabaseSecurityGroup: { Condition: 'NewDatabase' },
    })
  }
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
