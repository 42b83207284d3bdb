/** A template of CloudFormation, and the stack policy of its stack. */
export interface Stack {
  template: Template
  policy: PolicyStatement[]
}

interface Template {
  Conditions?: Record<string, unknown>
  Resources: Record<string, Resource>
}

interface Resource {
  Type: string
  Condition?: string
  Properties?: Record<string, unknown>
}

interface PolicyStatement {
  Effect: 'Allow' | 'Deny'
  Action: string[]
  Condition?: { StringEquals: { ResourceType: string[] } }
}

/** What an update of a stack does to a resource that the stack has. */
export interface Loss {
  name: string
  action: 'Update:Replace' | 'Update:Delete'
  isDenied: boolean
}

/**
 * The properties whose change replaces a resource: "Update requires: Replacement" in the reference of CloudFormation
 * (https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/), November 2026. `*`: each property.
 */
const REPLACED_BY: Readonly<Record<string, readonly string[]>> = {
  'AWS::ApiGatewayV2::Api': ['ProtocolType'],
  'AWS::ApiGatewayV2::Integration': ['ApiId'],
  'AWS::ApiGatewayV2::Route': ['ApiId'],
  'AWS::ApiGatewayV2::Stage': ['ApiId', 'StageName'],
  'AWS::CloudFront::CachePolicy': [],
  'AWS::CloudFront::Distribution': [],
  'AWS::CloudFront::OriginRequestPolicy': [],
  'AWS::CloudWatch::Alarm': ['AlarmName'],
  'AWS::EC2::SecurityGroup': ['GroupDescription', 'GroupName', 'VpcId'],
  'AWS::EC2::SecurityGroupEgress': ['*'],
  'AWS::EC2::SecurityGroupIngress': ['*'],
  'AWS::ElastiCache::ReplicationGroup': [
    'AtRestEncryptionEnabled',
    'CacheSubnetGroupName',
    'DataTieringEnabled',
    'GlobalReplicationGroupId',
    'KmsKeyId',
    'NetworkType',
    'Port',
    'PreferredCacheClusterAZs',
    'ReplicationGroupId',
    'SnapshotArns',
    'SnapshotName',
  ],
  'AWS::ElastiCache::ServerlessCache': ['KmsKeyId', 'ServerlessCacheName', 'SnapshotArnsToRestore', 'SubnetIds'],
  'AWS::ElastiCache::SubnetGroup': ['CacheSubnetGroupName'],
  'AWS::ElastiCache::User': ['UserId', 'UserName'],
  'AWS::ElastiCache::UserGroup': ['UserGroupId'],
  'AWS::Events::Rule': ['EventBusName', 'Name'],
  'AWS::IAM::Role': ['Path', 'RoleName'],
  'AWS::Lambda::EventInvokeConfig': ['FunctionName', 'Qualifier'],
  'AWS::Lambda::Function': ['FunctionName', 'PackageType'],
  'AWS::Lambda::Permission': ['*'],
  'AWS::Logs::LogGroup': ['LogGroupName'],
  'AWS::Logs::MetricFilter': ['FilterName', 'LogGroupName'],
  'AWS::RDS::DBInstance': [
    'CharacterSetName',
    'DBClusterIdentifier',
    'DBInstanceIdentifier',
    'DBName',
    'DBSubnetGroupName',
    'KmsKeyId',
    'MasterUsername',
    'Port',
    'StorageEncrypted',
  ],
  'AWS::RDS::DBProxy': ['DBProxyName', 'EngineFamily', 'VpcSubnetIds'],
  'AWS::RDS::DBProxyTargetGroup': ['DBProxyName', 'TargetGroupName'],
  'AWS::RDS::DBSubnetGroup': ['DBSubnetGroupName'],
  'AWS::S3::Bucket': ['BucketName'],
  'AWS::S3::BucketPolicy': ['Bucket'],
}

/** The resources of a template, with their conditions evaluated. */
export function resourcesOf({ Conditions = {}, Resources }: Template): Map<string, Resource> {
  const isTrue = (condition: unknown): boolean => {
    const [[name, argument] = []] = Object.entries(condition as Record<string, unknown>)
    if (name === 'Condition') return isTrue(Conditions[String(argument)])
    const items = argument as unknown[]
    if (name === 'Fn::Equals') return items[0] === items[1]
    if (name === 'Fn::Not') return !isTrue(items[0])
    if (name === 'Fn::And') return items.every(isTrue)
    if (name === 'Fn::Or') return items.some(isTrue)
    throw new Error(`expected a condition, got ${JSON.stringify(condition)}`)
  }
  const evaluate = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(evaluate).filter((item) => !isNothing(item))
    if (typeof value !== 'object' || value === null) return value
    if ('Fn::If' in value) {
      const [condition, yes, no] = value['Fn::If'] as [string, unknown, unknown]
      return evaluate(isTrue(Conditions[condition]) ? yes : no)
    }
    const entries = Object.entries(value).map(([name, part]) => [name, evaluate(part)] as const)
    return Object.fromEntries(entries.filter(([, part]) => !isNothing(part)))
  }
  const isThere = ({ Condition }: Resource) => Condition === undefined || isTrue(Conditions[Condition])
  return new Map(
    Object.entries(Resources)
      .filter(([, resource]) => isThere(resource))
      .map(([name, resource]) => [name, evaluate(resource) as Resource]),
  )
}

const isNothing = (value: unknown) => JSON.stringify(value) === '{"Ref":"AWS::NoValue"}'

/**
 * The resources that an update from one template to another deletes or replaces. A resource is also replaced when such a
 * property refers to a resource that is replaced.
 * @throws for a type of resource that this helper does not know.
 */
export function lossesOf(before: Stack, after: Template): Loss[] {
  const [old, next] = [resourcesOf(before.template), resourcesOf(after)]
  const replaced = new Set<string>()
  for (let size = -1; size < replaced.size; ) {
    size = replaced.size
    for (const [name, resource] of old) {
      const other = next.get(name)
      if (other !== undefined && isReplaced(resource, other, replaced)) replaced.add(name)
    }
  }
  return [...old].flatMap(([name, { Type }]) => {
    const action = !next.has(name) ? 'Update:Delete' : replaced.has(name) ? 'Update:Replace' : undefined
    return action ? [{ name, action, isDenied: isDenied(before.policy, action, Type) }] : []
  })
}

function isReplaced(old: Resource, next: Resource, replaced: ReadonlySet<string>): boolean {
  if (old.Type !== next.Type) return true
  const names = REPLACED_BY[old.Type]
  if (names === undefined) throw new Error(`expected a known type of resource, got ${old.Type}`)
  const parts = names.includes('*')
    ? [[old.Properties, next.Properties]]
    : names.map((name) => [old, next].map(({ Properties }) => Properties?.[name]))
  return parts.some(
    ([one, other]) =>
      JSON.stringify(one) !== JSON.stringify(other) || referencesOf(other).some((name) => replaced.has(name)),
  )
}

/** The names of the resources that a value refers to. */
function referencesOf(value: unknown): string[] {
  const text = JSON.stringify(value) ?? ''
  const found = text.matchAll(/"Ref":"(\w+)"|"Fn::GetAtt":\["(\w+)"|\$\{(\w+)[.}]/g)
  return [...found].map(([, ref, attribute, sub]) => ref ?? attribute ?? sub ?? '')
}

function isDenied(policy: readonly PolicyStatement[], action: string, type: string): boolean {
  return policy.some(
    ({ Effect, Action, Condition }) =>
      Effect === 'Deny' && Action.includes(action) && (Condition?.StringEquals.ResourceType.includes(type) ?? true),
  )
}
