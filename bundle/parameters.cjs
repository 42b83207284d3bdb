const { existsSync, readFileSync } = require('node:fs')
const { join } = require('node:path')
const { parse } = require('yaml')

const root = join(__dirname, '..')
const YES_OR_NO = { pattern: /^(?:yes|no)$/, expected: 'yes or no' }
const SUBNET = { pattern: /^subnet-[0-9a-f]{8,17}$/, expected: 'the id of a subnet, such as subnet-0123abcd' }
const SECURITY_GROUP = {
  pattern: /^(?:sg-[0-9a-f]{8,17})?$/,
  expected: 'the id of a security group, such as sg-0123abcd, or nothing',
}
const SQL_NAME = {
  pattern: /^[a-z_][a-z0-9_]{0,62}$/,
  expected: 'lower-case letters, digits and underscores, with no digit first',
}

/** The parameters of a stage: see aws/parameters/example.yml. */
const PARAMETERS = {
  vpcId: { pattern: /^vpc-[0-9a-f]{8,17}$/, expected: 'the id of a VPC, such as vpc-0123abcd' },
  subnetA: SUBNET,
  subnetB: SUBNET,
  database: {
    pattern: /^[a-z](?:-?[a-z0-9]){0,62}$/,
    expected: 'new, or the identifier of an RDS instance, in lower case',
  },
  databaseProxy: YES_OR_NO,
  databaseHost: {
    pattern: /^(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+)?$/,
    expected: 'the endpoint of the instance, without a port, or nothing',
  },
  databaseSecretArn: {
    pattern: /^(?:arn:aws[a-z-]*:secretsmanager:\S+)?$/,
    expected: 'the ARN of a secret, or nothing',
  },
  databaseSecurityGroupId: SECURITY_GROUP,
  databaseName: SQL_NAME,
  migrateUser: SQL_NAME,
  databaseUser: SQL_NAME,
  databaseSchema: {
    pattern: /^(?:[a-z_][a-z0-9_]{0,62})?$/,
    expected: `${SQL_NAME.expected}, or nothing`,
  },
  clientSecurityGroupId: SECURITY_GROUP,
  deletionProtection: YES_OR_NO,
  cache: { pattern: /^(?:serverless|nodes)$/, expected: 'serverless or nodes' },
  cloudFront: YES_OR_NO,
  siteTimeZone: { pattern: /^\S+$/, expected: 'a time zone, such as Europe/Berlin' },
  corsOrigin: { pattern: /^\S*$/, expected: 'origins with commas between them, *, or nothing' },
  alarmTopicArn: { pattern: /^(?:arn:aws[a-z-]*:sns:\S+)?$/, expected: 'the ARN of an SNS topic, or nothing' },
}

/**
 * Checks the parameters of a stage. A parameter that is missing is a problem, because a default would replace the
 * database or the cache of a stack that was deployed with another value.
 * @param {unknown} content of the file
 * @returns {string[]} the problems
 */
function problemsOf(content) {
  if (typeof content !== 'object' || content === null) return ['expected names and values']
  const parameters = /** @type {Record<string, unknown>} */ (content)
  const problems = Object.keys(parameters)
    .filter((name) => !Object.hasOwn(PARAMETERS, name))
    .map((name) => `${name}: there is no such parameter`)
  for (const [name, { pattern, expected }] of Object.entries(PARAMETERS)) {
    const value = parameters[name]
    // osls resolves a variable later.
    const isGiven = typeof value === 'string' && (pattern.test(value) || value.startsWith('${'))
    if (!isGiven) problems.push(`${name}: expected ${expected}, got ${JSON.stringify(value) ?? 'nothing'}`)
  }
  const { subnetA, subnetB, database, databaseProxy, migrateUser, databaseUser } = parameters
  if (subnetA !== '' && subnetA === subnetB)
    problems.push('subnetB: expected another subnet than subnetA, in another zone')
  if (migrateUser !== undefined && migrateUser === databaseUser)
    problems.push('databaseUser: expected another user than migrateUser')
  const needed = ['databaseSecurityGroupId', databaseProxy === 'yes' ? 'databaseSecretArn' : 'databaseHost']
  for (const name of ['databaseHost', 'databaseSecretArn', 'databaseSecurityGroupId']) {
    if (database !== 'new' && parameters[name] === '' && needed.includes(name))
      problems.push(`${name}: expected that of ${database}, got nothing`)
    if (database === 'new' && parameters[name] !== '') problems.push(`${name}: expected nothing with database: new`)
  }
  return problems
}

/**
 * Reads the parameters of the stage, for osls: the value of `custom.parameters` in serverless.yml.
 * @param {{ options: { param?: string[] }, resolveVariable(name: string): Promise<string> }} osls
 * @throws Error without a stack, with every problem
 */
module.exports = async ({ options, resolveVariable }) => {
  const file = `aws/parameters/${await resolveVariable('sls:stage')}.yml`
  const fail = (/** @type {string[]} */ problems) => {
    const error = new Error(`${file} is not usable:\n  ${problems.join('\n  ')}`)
    error.stack = error.message
    throw error
  }
  if (options.param?.length) fail(['--param is not read: set the parameter in this file'])
  if (!existsSync(join(root, file))) fail(['expected this file: copy aws/parameters/example.yml, and fill it in'])
  const parameters = parse(readFileSync(join(root, file), 'utf8'))
  const problems = problemsOf(parameters)
  if (problems.length > 0) fail(problems)
  return parameters
}
