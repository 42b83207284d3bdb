import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { PARAMETERS } from '../../lists/query.ts'
import { optionsSchema } from '../../settings/options.ts'
import { isPrefetch } from '../../views/prefetch.ts'
import { createPacker } from '../helpers/lambda/pack.ts'
import { lossesOf, resourcesOf, type Stack } from '../helpers/lambda/stack-graph.ts'

const { directory, given, pack, errors } = await createPacker(t)

t.test(
  'CloudFront keys lists on every parameter, keeps them as long as the headers say, and passes on views',
  async (t) => {
    const { template } = await pack({ ...given, cloudFront: 'yes' })
    t.same(errors(), [])
    const all = resourcesOf(template)
    const configOf = (name: string) => Object.values(all.get(name)?.Properties ?? {})[0] as Record<string, never>
    const { MaxTTL, ParametersInCacheKeyAndForwardedToOrigin: key } = configOf('ListCachePolicy')
    t.equal(MaxTTL, (optionsSchema.properties.maxAgeSeconds as { default?: number }).default)
    t.ok(PARAMETERS.length > 10, 'more than a policy may name')
    t.match(key, { QueryStringsConfig: { QueryStringBehavior: 'all' } })

    const { Headers, HeaderBehavior } = configOf('ViewRequestPolicy')['HeadersConfig'] as unknown as {
      Headers: string[]
      HeaderBehavior: string
    }
    t.ok(HeaderBehavior === 'whitelist' && Headers.length <= 10 && !Headers.includes('Host'), 'what CloudFront accepts')
    const isAhead = (name: string) => isPrefetch({ [name.toLowerCase()]: 'prefetch' })
    t.same(
      Headers.filter((name) => !isAhead(name)),
      ['CloudFront-Viewer-Address', 'User-Agent', 'Origin', 'Referer'],
    )

    const { CacheBehaviors: [views] = [], Origins: [origin] = [] } = configOf('Distribution') as Record<
      string,
      object[]
    >
    t.match(views, { OriginRequestPolicyId: { Ref: 'ViewRequestPolicy' } })
    const { PathPattern, AllowedMethods } = views as { PathPattern: string; AllowedMethods: string[] }
    t.ok(AllowedMethods.includes('POST'))
    const pattern = new RegExp(`^${PathPattern.replaceAll('*', '.*')}$`)
    const routes = [...all.values()].flatMap(({ Type, Properties }) =>
      Type === 'AWS::ApiGatewayV2::Route' ? [String(Properties?.['RouteKey'])] : [],
    )
    t.same(routes.filter((route) => pattern.test(String(route.split(' ')[1]))).sort(), [
      'GET /posts/{slug}/views.gif',
      'POST /posts/{slug}/views',
    ])
    const { OriginCustomHeaders: [sent] = [] } = origin as {
      OriginCustomHeaders?: { HeaderName: string; HeaderValue: object }[]
    }
    t.equal(sent?.HeaderName, 'X-CloudFront-Key')
    const variablesOf = (from: Stack) =>
      resourcesOf(from.template).get('ApiLambdaFunction')?.Properties?.['Environment']
    t.match(variablesOf({ template, policy: [] }), { Variables: { CLOUDFRONT_KEY: sent?.HeaderValue } })
    t.match(sent?.HeaderValue, { 'Fn::Select': [2, { 'Fn::Split': ['/', { Ref: 'AWS::StackId' }] }] })
    t.match(
      variablesOf(await pack(given)),
      { Variables: { CLOUDFRONT_KEY: '' } },
      'without CloudFront, no header names a reader',
    )
  },
)

t.test('the documented additions are valid, alone and together, and change nothing that has data', async (t) => {
  const document = await readFile('docs/deploy.md', 'utf8')
  const additions = [...document.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => String(text))
  t.equal(additions.length, 4)
  const own = join(directory, 'aws', 'own.yml')
  const before = await pack({ ...given, cloudFront: 'yes' })
  const all = await Promise.all(
    additions.map(async (text) => {
      const { Resources = {}, Outputs = {}, extensions = {} } = parse(text, { logLevel: 'silent' })
      return { names: Object.keys({ ...Resources, ...extensions }), outputs: Object.keys(Outputs) }
    }),
  )
  const packWith = async (text: string) => {
    await writeFile(own, text)
    const stack = await pack({ ...given, cloudFront: 'yes' })
    t.same(errors(), [], text.slice(0, 60))
    t.same(lossesOf(before, stack.template), [])
    return stack
  }
  for (const [index, text] of additions.entries()) {
    const { template } = await packWith(text)
    for (const name of all[index]?.names ?? []) {
      const now = JSON.stringify(template.Resources[name])
      t.not(now, JSON.stringify(before.template.Resources[name]), `${name} is new, or another`)
    }
  }
  const list = (key: string) =>
    additions.flatMap((text) => new RegExp(`^${key}:\\n((?: .*\\n)+)`, 'm').exec(text)?.[1] ?? []).join('')
  const together = ['Resources', 'Outputs', 'extensions'].map((key) => `${key}:\n${list(key)}`).join('')
  const { template } = await packWith(together)
  for (const { names } of all) for (const name of names) t.ok(template.Resources[name], name)
  t.match((template as unknown as { Outputs: object }).Outputs, { ApiDomainTarget: {}, CloudFrontDomain: {} })
})
