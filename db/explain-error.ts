import { codeOf, messageOf, StartupError } from '../lib/errors.ts'

/** Names of tables that a migration makes are taken by tables of another program. The schema is as it was. */
export class NamesTaken extends Error {
  override readonly name = 'NamesTaken'
  /** That of PostgreSQL for a name that is taken. */
  readonly code = '42P07'
  readonly names: readonly string[]
  constructor(names: readonly string[]) {
    super(`taken: ${names.join(', ')}`)
    this.names = names
  }
}

/** What has happened, and what to do. `$url` is where the server is named, `$object` what the error is about. */
type Explanation = readonly [what: string, todo: string]

const REFUSED_USER: Explanation = [
  'The server in $url does not let its user in',
  'check that this role exists and may log in, that pg_hba.conf has a line for it, and whether the server wants TLS (?sslmode=require in the URL)',
]
const NO_ANSWER: Explanation = [
  'The server in $url does not answer',
  'check its host and port, that it runs, and that no firewall is in the way',
]
const ENDED: Explanation = [
  'PostgreSQL ended the connection',
  'check that what $url names is a PostgreSQL server and runs, and try again',
]
const NOT_POSTGRES: Explanation = [
  'What answers at the address in $url is no PostgreSQL server',
  'correct the host and the port',
]
const UNTRUSTED_CERTIFICATE: Explanation = [
  'The certificate of the server in $url is not trusted',
  'name the file of its authority in the URL (?sslmode=verify-full&sslrootcert=/path/to/ca.pem), or in NODE_EXTRA_CA_CERTS',
]
const NOT_FOUND: Explanation = [
  'PostgreSQL finds nothing of the name $object',
  'check the search_path of $url, and run "npx popular-posts migrate"; what was dropped by hand comes back from a backup only',
]
const NAME_TAKEN: Explanation = [
  'Another program has taken names in the schema that this package needs: $object',
  'for a blog with tables of its own see docs/adopting.md ("npx popular-posts migrate --adopt"); for one beside it, "create schema popular_posts" and add ?options=-csearch_path%3Dpopular_posts to $url',
]
const NAME_TAKEN_EMBEDDED: Explanation = [
  NAME_TAKEN[0],
  'rename that, or move the folder in DATA_DIR away to begin with an empty database',
]
const CANCELLED: Explanation = [
  'A statement was cancelled, or waited too long for a lock of another session',
  'end what holds the lock (see pg_stat_activity), and try again',
]
const COLLIDED: Explanation = ['Two sessions were in each other’s way', 'try again']
const BAD_SETTING: Explanation = [
  'The server does not accept $object',
  'correct the options in $url, and the settings of its user',
]

/** By the code of PostgreSQL (SQLSTATE), of the system, or of TLS. */
export const BY_CODE: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: ['No server answers at the address in $url', 'start PostgreSQL, or correct the host and the port'],
  ENOTFOUND: ['The host in $url is not known', 'correct its name'],
  EAI_AGAIN: ['The host in $url could not be looked up', 'check its name and that DNS answers, and try again'],
  ETIMEDOUT: NO_ANSWER,
  EHOSTUNREACH: NO_ANSWER,
  ENETUNREACH: NO_ANSWER,
  ENOENT: ['PostgreSQL has no socket in the folder that $url names', 'start PostgreSQL, or correct the folder'],
  ECONNRESET: ENDED,
  EPIPE: ENDED,
  '57P01': ENDED,
  '57P02': ENDED,
  DEPTH_ZERO_SELF_SIGNED_CERT: UNTRUSTED_CERTIFICATE,
  SELF_SIGNED_CERT_IN_CHAIN: UNTRUSTED_CERTIFICATE,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNTRUSTED_CERTIFICATE,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNTRUSTED_CERTIFICATE,
  CERT_HAS_EXPIRED: ['The certificate of the server in $url has expired', 'renew it'],
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'The certificate of the server is for another host than the one in $url',
    'use the name that is in the certificate',
  ],
  '08P01': [
    'A pooler in front of PostgreSQL refuses the connection',
    'where that is PgBouncer, add $object to its ignore_startup_parameters',
  ],
  '0A000': [
    'The server, or a pooler in front of it, does not support what is needed',
    'use PostgreSQL 13 or newer, and no options in $url behind RDS Proxy',
  ],
  '25006': [
    'The server in $url is read-only: it is a standby, or default_transaction_read_only is on',
    'name the primary server',
  ],
  '28000': REFUSED_USER,
  '28P01': [
    'The server does not accept the user or the password in $url, or the URL has no password',
    'correct them, with special characters as in a URL (%40 for @)',
  ],
  '3D000': ['The database that $url names does not exist', 'make it with "create database", or correct its name'],
  '3F000': ['PostgreSQL finds no schema $object', 'make it with "create schema", or correct the search_path of $url'],
  '40001': COLLIDED,
  '40P01': COLLIDED,
  '42501': [
    'The user in $url has no right to $object',
    'grant it, or use the user who owns it; what is needed is in docs/adopting.md',
  ],
  '42703': NOT_FOUND,
  '42883': NOT_FOUND,
  '42P01': NOT_FOUND,
  '42P07': NAME_TAKEN,
  '42710': NAME_TAKEN,
  '42723': NAME_TAKEN,
  '22023': BAD_SETTING,
  '42704': BAD_SETTING,
  '53100': ['The disk of the server is full', 'make room, and try again'],
  '53200': ['The server is out of memory', 'give it more, and try again'],
  '53300': [
    'The server in $url takes no more connections',
    'raise max_connections or the limit of the user or the database, or end what holds them',
  ],
  '55000': ['The database that $url names takes no connections', '"alter database … allow_connections true"'],
  '55P03': CANCELLED,
  '57014': CANCELLED,
  '57P03': ['The server in $url is starting up, stopping or recovering', 'try again in a moment'],
}

/** What the driver says without a code. */
export const BY_MESSAGE: readonly (readonly [RegExp, Explanation])[] = [
  [/^(?:timeout e|Connection terminated due to connection timeout)/, NO_ANSWER],
  [/^Query read timeout/, CANCELLED],
  [/^Connection terminated|^Client has encountered a connection error/, ENDED],
  [
    /^The server does not support SSL/,
    ['The server in $url has no TLS, which the URL asks for', 'turn it on there, or leave sslmode out of the URL'],
  ],
  [/^There was an error establishing an SSL|^received invalid response/, NOT_POSTGRES],
  [
    /^SASL.*client password must be/,
    ['The server in $url wants a password, and the URL has none', 'add it: postgres://user:password@host/database'],
  ],
  [
    /^SASL/,
    ['The server in $url wants a way to sign in that is not known here', 'let its user sign in by scram-sha-256'],
  ],
]

/**
 * Says in a sentence what a database, or the way to it, has answered, without the addresses, users and passwords that the
 * messages of PostgreSQL and of the driver may name.
 * @param url where the server is named, as in `DATABASE_URL`; `DATA_DIR`: it is the embedded one.
 * @returns `undefined` for what setup does not meet.
 */
export function explainDatabaseError(error: unknown, url: string): string | undefined {
  const code = codeOf(error)
  const message = messageOf(error)
  const isTaken = BY_CODE[code] === NAME_TAKEN
  const found = BY_CODE[code] ?? BY_MESSAGE.find(([pattern]) => pattern.test(message))?.[1]
  // Of our own server there is no address and no password to correct.
  if (url === 'DATA_DIR' && found !== undefined && !isTaken && code !== '53100')
    return `The embedded database in DATA_DIR could not be used (${code || 'the connection ended'}): see postgres/postgres.log in that folder.`
  if (found === undefined) return undefined
  const [what, todo] = isTaken && url === 'DATA_DIR' ? NAME_TAKEN_EMBEDDED : found
  const object = error instanceof NamesTaken ? error.names.join(', ') : objectIn(code, message)
  const sentence = `${what}${code && ` (${code})`}: ${todo}.`
  return sentence.replaceAll('$url', url).replaceAll('$object', () => object)
}

/** What a database, or the way to it, has answered, as a sentence; anything else as it is. */
export function toStartupError(error: unknown, url: string): unknown {
  const sentence = error instanceof StartupError ? undefined : explainDatabaseError(error, url)
  return sentence === undefined ? error : new StartupError(sentence, { cause: error })
}

/** What a message of PostgreSQL is about: never a user. Messages are translated: quotes are not always ". */
function objectIn(code: string, message: string): string {
  const [, named] = NAMES[code]?.exec(message) ?? []
  const [, quoted] = isNamed(code) ? (/["»«„“]\s*(.+?)\s*["»«“”]/.exec(message) ?? []) : []
  return named ?? quoted ?? 'what its log names'
}

const SETTING = /parameter "([\w.]+)"/
const MISSING = /^((?:column|function) [^"]+) does not exist$/
const NAMES: Readonly<Record<string, RegExp>> = {
  '08P01': /startup parameter(?: in options)?: (\w+)/,
  '22023': SETTING,
  '42501': /^(?:permission denied for|must be owner of) (\w+ \S+)$/,
  '42703': MISSING,
  '42704': SETTING,
  '42883': MISSING,
}

/** The first name in quotes is that of a table, column, type, function or schema. */
function isNamed(code: string): boolean {
  const sentence = BY_CODE[code]
  return sentence === NAME_TAKEN || sentence === NOT_FOUND || code === '3F000'
}
