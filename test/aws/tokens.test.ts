import { createHash, createHmac } from 'node:crypto'
import { Signer } from '@aws-sdk/rds-signer'
import { SignatureV4 } from '@smithy/signature-v4'
import t from 'tap'
import { elastiCacheToken, passwordsOf, rdsToken } from '../../aws/tokens.ts'

const NOW_MS = Date.UTC(2026, 10, 22, 9, 5, 7, 89)

/** The hash class that the SDK needs; the one of AWS is a separate package. */
class Sha256 {
  readonly #hash
  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', toBytes(secret))
  }
  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(toBytes(data))
  }
  async digest(): Promise<Uint8Array> {
    return this.#hash.digest()
  }
  reset(): void {}
}

function toBytes(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data)
  return ArrayBuffer.isView(data) ? Buffer.from(data.buffer, data.byteOffset, data.byteLength) : Buffer.from(data)
}

const signers = [
  {
    region: 'eu-central-1',
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCY',
    sessionToken: undefined,
  },
  { region: 'us-east-1', accessKeyId: 'ASIAEXAMPLE', secretAccessKey: 'a/b+c=', sessionToken: "IQoJ/+=b3'(x)*!~ é" },
]

t.test('a token for ElastiCache equals that of the AWS SDK', async (t) => {
  for (const signer of signers) {
    for (const { cache, isServerless, user } of [
      { cache: 'popular-posts-dev', isServerless: true, user: 'popular-posts-dev' },
      { cache: 'nodes', isServerless: false, user: "o'neill & (sons)" },
    ]) {
      const { region, sessionToken, ...keys } = signer
      const credentials = { ...keys, ...(sessionToken === undefined ? {} : { sessionToken }) }
      const sdk = new SignatureV4({ service: 'elasticache', region, credentials, sha256: Sha256 })
      const query = { Action: 'connect', User: user, ...(isServerless ? { ResourceType: 'ServerlessCache' } : {}) }
      const request = { method: 'GET', protocol: 'http:', hostname: cache, path: '/', headers: { host: cache }, query }
      const { query: signed = {} } = await sdk.presign(request, { expiresIn: 900, signingDate: new Date(NOW_MS) })
      const token = elastiCacheToken({ signer, cache, isServerless, user }, NOW_MS)
      t.same(parametersOf(token), signed)
      t.ok(token.startsWith(`${cache}/?Action=connect&`), 'without a scheme')
    }
  }
})

t.test('a token for RDS equals that of the AWS SDK', async (t) => {
  for (const signer of signers) {
    const { region, sessionToken, ...keys } = signer
    const identity = { host: 'proxy.example', port: 5432, user: 'popular_posts' }
    const credentials = { ...keys, ...(sessionToken === undefined ? {} : { sessionToken }) }
    const sdk = new Signer({
      hostname: identity.host,
      port: identity.port,
      username: identity.user,
      region,
      credentials,
      sha256: Sha256,
    })
    const theirs = await sdk.getAuthToken()
    const date = parametersOf(theirs)['X-Amz-Date'] ?? ''
    const nowMs = Date.parse(date.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
    const ours = rdsToken({ signer, ...identity }, nowMs)
    t.same(parametersOf(ours), parametersOf(theirs))
    t.ok(ours.startsWith('proxy.example:5432/?'))
  }
})

t.test('each connection gets a new password, only with IAM', async (t) => {
  t.same(passwordsOf({}), { databasePassword: undefined, redisPassword: undefined })
  const [signer] = signers
  if (signer === undefined) throw new Error('there are two')
  const { databasePassword, redisPassword } = passwordsOf({
    database: { signer, host: 'db.example', port: 5432, user: 'ann' },
    redis: { signer, cache: 'lists', isServerless: true, user: 'ann' },
  })
  t.match(databasePassword?.(), /^db\.example:5432\/\?Action=connect&DBUser=ann&/)
  t.match(redisPassword?.(), /^lists\/\?Action=connect&ResourceType=ServerlessCache&User=ann&/)
})

function parametersOf(token: string): Record<string, string> {
  return Object.fromEntries(new URL(`https://${token}`).searchParams)
}
