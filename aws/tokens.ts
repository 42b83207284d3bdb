import { presign, type Signer } from './presign.ts'

/** How long a token can open connections. An open connection stays open (ElastiCache: for 12 hours). */
const EXPIRES_SECONDS = 900

interface ElastiCacheIdentity {
  signer: Signer
  /** The name of the cache, in lower case. */
  cache: string
  isServerless: boolean
  user: string
}

interface RdsIdentity {
  signer: Signer
  host: string
  port: number
  user: string
}

/** A password for ElastiCache (https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html). */
export function elastiCacheToken({ signer, cache, isServerless, user }: ElastiCacheIdentity, nowMs: number): string {
  const query = { Action: 'connect', User: user, ...(isServerless ? { ResourceType: 'ServerlessCache' } : {}) }
  return presign({ signer, service: 'elasticache', host: cache, query, expiresSeconds: EXPIRES_SECONDS, nowMs })
}

/**
 * A password for RDS and RDS Proxy
 * (https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html).
 */
export function rdsToken({ signer, host, port, user }: RdsIdentity, nowMs: number): string {
  const query = { Action: 'connect', DBUser: user }
  return presign({
    signer,
    service: 'rds-db',
    host: `${host}:${port}`,
    query,
    expiresSeconds: EXPIRES_SECONDS,
    nowMs,
  })
}

/** Functions that make the password of each new connection; `undefined` without IAM. */
export function passwordsOf({ database, redis }: { database?: RdsIdentity; redis?: ElastiCacheIdentity }) {
  return {
    databasePassword: database && (() => rdsToken(database, Date.now())),
    redisPassword: redis && (() => elastiCacheToken(redis, Date.now())),
  }
}
