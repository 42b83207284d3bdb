import { codeOf, messageOf, StartupError } from '../lib/errors.ts'

/** Another program has tables of the names that a migration would create. The schema is unchanged. */
export class NamesTaken extends Error {
  override readonly name = 'NamesTaken'
  /** SQLSTATE `duplicate_table`. */
  readonly code = '42P07'
  /** The tables of the other program. */
  readonly names: readonly string[]
  constructor(names: readonly string[]) {
    super(`taken: ${names.join(', ')}`)
    this.names = names
  }
}

/**
 * What happened, and what to do. `$url` stands for the setting that names the server, `$object` for the object of the
 * error.
 */
type Explanation = readonly [problem: string, advice: string]

const REFUSED_USER: Explanation = [
  'The server in $url rejects its user',
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
  'The program that answers at the address in $url is no PostgreSQL server',
  'correct the host and the port',
]
const UNTRUSTED_CERTIFICATE: Explanation = [
  'The certificate of the server in $url is not trusted',
  'name the certificate file of its authority in the URL (?sslmode=verify-full&sslrootcert=/path/to/ca.pem), or in NODE_EXTRA_CA_CERTS',
]
const NOT_FOUND: Explanation = [
  'PostgreSQL finds no object named $object',
  'check DATABASE_SCHEMA (the option schema), or the search_path of $url without it, and run "npx popular-posts migrate"; restore objects that were dropped by hand from a backup',
]
const NAME_TAKEN: Explanation = [
  'Tables of another program have names in the schema that this package needs: $object',
  'for a blog with its own tables see docs/adopting.md ("npx popular-posts migrate --adopt"); for one beside it, name a schema for this package: DATABASE_SCHEMA=popular_posts (--schema popular_posts)',
]
const NAME_TAKEN_EMBEDDED: Explanation = [
  NAME_TAKEN[0],
  'rename those tables, or move the folder in DATA_DIR away to start with an empty database',
]
const CANCELLED: Explanation = [
  'A statement was cancelled, or waited too long for a lock of another session',
  'end the session that holds the lock (see pg_stat_activity), and try again',
]
const COLLIDED: Explanation = ['The transaction conflicted with another one', 'try again']
const BAD_SETTING: Explanation = [
  'The server does not accept $object',
  'correct the options in $url, or the settings of its user',
]

/** By the code of PostgreSQL (SQLSTATE), of the system, or of TLS. */
export const BY_CODE: Readonly<Record<string, Explanation>> = {
  ECONNREFUSED: ['No server answers at the address in $url', 'start PostgreSQL, or correct the host and the port'],
  ENOTFOUND: ['The name of the host in $url does not exist', 'correct it'],
  EAI_AGAIN: ['The host in $url could not be looked up', 'check its name and that DNS answers, and try again'],
  ETIMEDOUT: NO_ANSWER,
  EHOSTUNREACH: NO_ANSWER,
  ENETUNREACH: NO_ANSWER,
  ENOENT: ['PostgreSQL has no socket in the folder of $url', 'start PostgreSQL, or correct the folder'],
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
    'use the host name of the certificate',
  ],
  '08P01': [
    'A pooler in front of PostgreSQL refuses the connection',
    'the log of the pooler has the reason; correct the user, the password or the database in $url, or the settings of the pooler',
  ],
  '0A000': [
    'The server, or a pooler in front of it, lacks a feature that this package needs',
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
  '3D000': ['The database that $url names does not exist', 'create it with "create database", or correct its name'],
  '3F000': [
    'PostgreSQL finds no schema $object',
    'create it with "create schema", or correct DATABASE_SCHEMA or the search_path of $url',
  ],
  '40001': COLLIDED,
  '40P01': COLLIDED,
  '42501': [
    'The user in $url has no right to $object',
    'grant the right, or use the user who owns the object; docs/adopting.md lists the rights',
  ],
  '42703': NOT_FOUND,
  '42883': NOT_FOUND,
  '42P01': NOT_FOUND,
  '42P07': NAME_TAKEN,
  '42710': NAME_TAKEN,
  '42723': NAME_TAKEN,
  '22023': BAD_SETTING,
  '42704': BAD_SETTING,
  '53100': ['The disk of the server is full', 'free space on it, and try again'],
  '53200': ['The server is out of memory', 'add memory, and try again'],
  '53300': [
    'The server in $url accepts no more connections',
    'raise max_connections or the limit of the user or the database, or end other connections',
  ],
  '55000': ['The database that $url names accepts no connections', 'run "alter database … allow_connections true"'],
  '55P03': CANCELLED,
  '57014': CANCELLED,
  '57P03': ['The server in $url is starting up, stopping or recovering', 'try again in a moment'],
}

/** By the message of the driver or of a pooler, where the code does not tell. */
export const BY_MESSAGE: readonly (readonly [RegExp, Explanation])[] = [
  [
    /^unsupported startup parameter/,
    [
      'A pooler in front of PostgreSQL refuses the parameter $object',
      'remove it from $url; in place of a search_path set DATABASE_SCHEMA, other settings for the user (alter role … set …)',
    ],
  ],
  [/^(?:timeout e|Connection terminated due to connection timeout)/, NO_ANSWER],
  [/^Query read timeout/, CANCELLED],
  [/^Connection terminated|^Client has encountered a connection error/, ENDED],
  [
    /^The server does not support SSL/,
    [
      'The server in $url has no TLS, which the URL requires',
      'enable TLS on the server, or remove sslmode from the URL',
    ],
  ],
  [/^There was an error establishing an SSL|^received invalid response/, NOT_POSTGRES],
  [
    /^SASL.*client password must be/,
    ['The server in $url requires a password, and the URL has none', 'add it: postgres://user:password@host/database'],
  ],
  [
    /^SASL/,
    [
      'The server in $url requires an authentication method that the driver lacks',
      'let its user sign in with scram-sha-256',
    ],
  ],
]

/**
 * Explains an error of the database or of the connection to it in one sentence. The sentence contains none of the
 * addresses, users and passwords that the messages of PostgreSQL and of the driver may contain.
 * @param url the setting that names the server, such as `DATABASE_URL`; `DATA_DIR`: the embedded server.
 * @returns `undefined` for errors that do not occur in setup.
 */
export function explainDatabaseError(error: unknown, url: string): string | undefined {
  const code = codeOf(error)
  const message = messageOf(error)
  const isTaken = BY_CODE[code] === NAME_TAKEN
  const found = BY_MESSAGE.find(([pattern]) => pattern.test(message))?.[1] ?? BY_CODE[code]
  // The embedded server has no address and no password that the user could correct.
  if (url === 'DATA_DIR' && found !== undefined && !isTaken && code !== '53100')
    return `The embedded database in DATA_DIR could not be used (${code || 'the connection ended'}): see postgres/postgres.log in that folder.`
  if (found === undefined) return undefined
  const [problem, advice] = isTaken && url === 'DATA_DIR' ? NAME_TAKEN_EMBEDDED : found
  const object = error instanceof NamesTaken ? error.names.join(', ') : objectIn(code, message)
  const sentence = `${problem}${code && ` (${code})`}: ${advice}.`
  return sentence.replaceAll('$url', url).replaceAll('$object', () => object)
}

/** Wraps an error of the database in a `StartupError` that explains it; returns any other error unchanged. */
export function toStartupError(error: unknown, url: string): unknown {
  const sentence = error instanceof StartupError ? undefined : explainDatabaseError(error, url)
  return sentence === undefined ? error : new StartupError(sentence, { cause: error })
}

/** The object that a message of PostgreSQL names: never a user. Messages are translated, so the quotes vary. */
function objectIn(code: string, message: string): string {
  const [, named] = NAMES[code]?.exec(message) ?? []
  const [, quoted] = isNamed(code) ? (/["»«„“]\s*(.+?)\s*["»«“”]/.exec(message) ?? []) : []
  return named ?? quoted ?? 'the object that its log names'
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

/** Whether the first quoted name in the message is a table, column, type, function or schema. */
function isNamed(code: string): boolean {
  const sentence = BY_CODE[code]
  return sentence === NAME_TAKEN || sentence === NOT_FOUND || code === '3F000'
}
