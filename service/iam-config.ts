import type { passwordsOf } from '../aws/tokens.ts'

/** What IAM tokens are made from: see `aws/tokens.ts`. */
export type IamConfig = Parameters<typeof passwordsOf>[0]

/** The variables of IAM, of the schema in `service/config.ts`. */
interface IamVariables {
  DATABASE_IAM: boolean
  DATABASE_URL?: string
  REDIS_IAM_CACHE?: string
  REDIS_IAM_KIND: 'serverless' | 'nodes'
  REDIS_URL?: string
  AWS_REGION?: string
  AWS_ACCESS_KEY_ID?: string
  AWS_SECRET_ACCESS_KEY?: string
  AWS_SESSION_TOKEN?: string
}

/** The settings of IAM. Adds the conflicts among them to `problems`. */
export function iamOf(checked: IamVariables, problems: string[]): IamConfig {
  const { DATABASE_IAM, REDIS_IAM_CACHE, DATABASE_URL, REDIS_URL } = checked
  if (!DATABASE_IAM && REDIS_IAM_CACHE === undefined) return {}
  const { AWS_REGION: region, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey } = checked
  if (region === undefined || accessKeyId === undefined || secretAccessKey === undefined) {
    problems.push('AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY: expected all of them, to sign IAM tokens')
    return {}
  }
  const signer = { region, accessKeyId, secretAccessKey, sessionToken: checked.AWS_SESSION_TOKEN }
  const iam: IamConfig = {}
  if (DATABASE_IAM) {
    // A token names a host and a port. A URL of a Unix socket has neither, and this parser may refuse it.
    const url = DATABASE_URL !== undefined && URL.canParse(DATABASE_URL) ? DATABASE_URL : 'postgres://'
    const { username, password, hostname, port } = new URL(url)
    if (username === '' || password !== '' || hostname === '')
      problems.push('DATABASE_URL: expected a user, a host and no password with DATABASE_IAM, got something else')
    iam.database = { signer, host: hostname, port: Number(port || 5432), user: decodeURIComponent(username) }
  }
  if (REDIS_IAM_CACHE !== undefined) {
    const { username, password, protocol } = new URL(REDIS_URL?.replace(/,.*/s, '') ?? 'redis://')
    // A token is a password for 15 minutes: it must not cross the network unencrypted.
    if (username === '' || password !== '' || protocol !== 'rediss:')
      problems.push('REDIS_URL: expected rediss://, a user and no password with REDIS_IAM_CACHE, got something else')
    const isServerless = checked.REDIS_IAM_KIND === 'serverless'
    iam.redis = { signer, cache: REDIS_IAM_CACHE, isServerless, user: decodeURIComponent(username) }
  }
  return iam
}
