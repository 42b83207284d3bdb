import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { createSecureContext } from 'node:tls'
import pg from 'pg'

/**
 * A URL that cannot be used. The message says what was expected; it contains no part of the URL, which may have a
 * password.
 */
export class WrongUrl extends Error {
  override readonly name = 'WrongUrl'
}

interface Node {
  host: string
  port: number
}

/** The parts of a Redis URL, or of the URLs of a Cluster. */
export interface RedisAddress {
  nodes: [Node, ...Node[]]
  isCluster: boolean
  username: string
  password: string
  isTls: boolean
  db: number
}

const ENCODE =
  'with @ as %40, / as %2F, ? as %3F, # as %23, % as %25, a comma as %2C and white space as %20 in user and password'
const SENTINELS = 'for Sentinels, pass a client as the option redis, new Redis({ sentinels: [{ host, port }], name })'
const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify']
const SSL_FILES = ['sslrootcert', 'sslcert', 'sslkey']
/** Parameters of other drivers that name a schema, which ours ignores. */
const SCHEMA_PARAMETERS = ['schema', 'search_path', 'currentSchema']

/**
 * Checks a URL of PostgreSQL with the driver that will use it, and for mistakes that the driver silently misreads.
 * @throws WrongUrl
 */
export function checkDatabaseUrl(url: string): void {
  if (!/^postgres(?:ql)?:\/\//.test(url)) throw new WrongUrl('a URL that begins with postgres:// or postgresql://')
  expectEncoded(url)
  for (const [name, value] of new URLSearchParams(url.split('?')[1])) checkParameter(name, value)
  const { host, port, ssl } = driverOptions(url)
  // A path is a folder with a Unix socket.
  const isHost = host.startsWith('/') || isIP(host) !== 0 || /^[\p{L}\p{N}._-]+$/u.test(host)
  if (!isHost) throw new WrongUrl('a URL with one host, or host=/folder for a Unix socket')
  if (!(port >= 1 && port <= 65_535)) throw new WrongUrl('a URL with a port from 1 to 65535')
  if (typeof ssl === 'object') checkCertificates(ssl)
}

/**
 * Parses the URL of Redis, or several URLs of a Cluster with commas between them.
 * @param isCluster whether a single URL is a node of a Cluster. Default false. Several URLs always are.
 * @throws WrongUrl
 */
export function parseRedisUrl(urls: string, isCluster = false): RedisAddress {
  const first = parseRedisNode(urls.replace(/,.*/s, '').trim())
  const others = urls
    .split(',')
    .slice(1)
    .map((url) => parseRedisNode(url.trim()))
  const { username, password, isTls, db } = first
  if (others.some((node) => node.username !== username || node.password !== password || node.isTls !== isTls))
    throw new WrongUrl('the same user, password and TLS (rediss://) in each URL of a Cluster')
  const addressOf = ({ host, port }: Node): Node => ({ host, port })
  const isOfCluster = isCluster || others.length > 0
  if (isOfCluster && [first, ...others].some((node) => node.db !== 0))
    throw new WrongUrl('no database index in a URL of a Cluster')
  const nodes: RedisAddress['nodes'] = [addressOf(first), ...others.map(addressOf)]
  return { nodes, isCluster: isOfCluster, username, password, isTls, db }
}

/**
 * Returns one sentence for each wrong URL in the settings, without its value.
 * @param names the names of the settings that are URLs, as the user knows them.
 */
export function urlProblems(
  settings: object,
  names: { databaseUrl: string; redisUrl: string; redisCluster: string },
): string[] {
  const values = new Map<string, unknown>(Object.entries(settings))
  const problems: string[] = []
  function check(name: string, read: (url: string) => unknown): void {
    const url = values.get(name)
    try {
      // The schema of the settings refuses other types.
      if (typeof url === 'string') read(url)
    } catch (error) {
      const { message } = error as WrongUrl
      problems.push(`${name}: expected ${message}, got something else`)
    }
  }
  check(names.databaseUrl, checkDatabaseUrl)
  check(names.redisUrl, (url) => parseRedisUrl(url, values.get(names.redisCluster) === true))
  return problems
}

function parseRedisNode(url: string) {
  if (/^[\w+-]*sentinels?[\w+-]*:/i.test(url)) throw new WrongUrl(`a URL of Redis itself: ${SENTINELS}`)
  if (!/^rediss?:\/\//.test(url))
    throw new WrongUrl(
      'a URL that begins with redis:// or rediss://, or several with commas between them (a comma in a password is %2C)',
    )
  expectEncoded(url)
  const parsed = orWrong(() => new URL(url))
  const { hostname, port, protocol, pathname, search } = parsed
  const [username, password] = orWrong(() => [decodeURIComponent(parsed.username), decodeURIComponent(parsed.password)])
  const host = hostname.replace(/^\[(.+)\]$/, '$1')
  if (isIP(host) === 0 && !/^[\w.-]+$/.test(host))
    throw new WrongUrl('a URL with a host, such as redis://localhost:6379')
  if (port === '0') throw new WrongUrl('a URL with a port from 1 to 65535')
  if (search !== '')
    throw new WrongUrl(`a URL without parameters: a database index is the path, such as /1; ${SENTINELS}`)
  if (!/^\/?\d{0,9}$/.test(pathname)) throw new WrongUrl('a URL whose path is a database index, such as /1, or nothing')
  const isTls = protocol === 'rediss:'
  return { username, password, host, port: Number(port || 6379), isTls, db: Number(pathname.slice(1)) }
}

/**
 * Refuses characters that are not encoded. An unencoded `#`, `/` or `?` in a password ends the authority of the URL:
 * the rest, with the `@`, becomes a path, parameters or a fragment.
 */
function expectEncoded(url: string): void {
  const parts = url.slice(url.indexOf('://') + 3)
  const authority = parts.replace(/[/?#].*/s, '')
  const rest = parts.slice(authority.length)
  const isCutOff = authority !== '' && !authority.includes('@') && rest.includes('@')
  if (isCutOff || /^[^?]*@|#/.test(rest) || /\s|%(?![0-9a-f]{2})/i.test(url)) throw new WrongUrl(`a URL ${ENCODE}`)
}

function checkParameter(name: string, value: string): void {
  if (value === '') return
  if (name === 'sslmode' && !SSL_MODES.includes(value))
    throw new WrongUrl(`a URL with an sslmode of ${SSL_MODES.join()}`)
  // The driver reads `ssl=false` as true.
  if (name === 'ssl' && !['true', '1', '0', 'no-verify'].includes(value))
    throw new WrongUrl('a URL with ssl=true, 1, 0 or no-verify')
  // Other drivers write `schema=public` into each URL. It is where names are looked up anyway.
  if (SCHEMA_PARAMETERS.includes(name) && value !== 'public')
    throw new WrongUrl(
      `a URL without ${name}=, which has no effect: name the schema of the tables of this package in the option schema (DATABASE_SCHEMA)`,
    )
  if (!SSL_FILES.includes(name)) return
  try {
    readFileSync(value)
  } catch {
    throw new WrongUrl(`a URL whose ${name} is a file that this process may read`)
  }
}

/** Returns a text that is equal for equal databases and schemas: the URL without user and password. */
export function databaseAddress(connectionString: string): string {
  const { host, port, database } = new pg.Client({ connectionString })
  return JSON.stringify([host, port, database, new URLSearchParams(connectionString.split('?')[1]).get('options')])
}

/** Returns the driver's options for the URL. Errors of the driver contain parts of the URL, so they are replaced. */
function driverOptions(connectionString: string) {
  const { host, port, ssl } = orWrong(() => new pg.Client({ connectionString }))
  return { host, port, ssl: ssl as boolean | Certificates }
}

function orWrong<T>(parse: () => T): T {
  try {
    return parse()
  } catch {
    throw new WrongUrl(`a URL such as scheme://user:password@host:port/name, ${ENCODE}`)
  }
}

interface Certificates {
  ca?: string
  cert?: string
  key?: string
}

function checkCertificates({ ca, cert, key }: Certificates): void {
  try {
    // Node.js silently ignores a file that is not a certificate authority.
    if (ca !== undefined) new X509Certificate(ca)
    createSecureContext({ cert, key })
  } catch {
    throw new WrongUrl('a URL whose sslrootcert, sslcert and sslkey are certificates and their key, as PEM')
  }
}
