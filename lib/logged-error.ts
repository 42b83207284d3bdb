import { inspect, types } from 'node:util'
import { redact } from './redact.ts'

/** An error as a plain object, which any logger can write. */
export interface LoggedError {
  /** The name of its class; for a value that is not an error, its type. */
  type: string
  code?: string | number
  message?: string
  /** The table and the column that PostgreSQL names. */
  table?: string
  column?: string
  stack?: string
  cause?: LoggedError
  /** The errors of an `AggregateError`, under the name that pino uses. */
  aggregateErrors?: LoggedError[]
}

/**
 * The bounds of a logged error: the depth of causes, the number of aggregate errors, the characters of a text, and of a
 * message of PostgreSQL.
 */
const MAX = { causes: 5, errors: 10, characters: 10_000, reason: 300 }

/** Errors of queries of this package: see {@link ofOwnQuery}. */
const ofOwnQueries = new WeakSet<object>()

/**
 * Marks the error of a query of this package, and returns it: the log shows PostgreSQL's message, because it has names of
 * tables and columns only. A message for another query, as in the host's `load`, may contain anything.
 */
export function ofOwnQuery(error: unknown): unknown {
  if (isErrorLike(error)) ofOwnQueries.add(error)
  return error
}

/**
 * Returns what a log shows of an error; the only place that decides it. Of an error of a database, of Redis or of a
 * connection it shows the class and the code, because the message may contain hosts, users and statements. Where an
 * error that wraps it repeats that message, the message is replaced by `(not shown)`. Of an error of PostgreSQL for a query of
 * this package it shows the message too, without values. Of every other error it shows
 * message, stack and causes, without URLs and addresses (see `redact`), and no other properties. Never throws, for any value.
 */
export function loggedError(error: unknown): LoggedError {
  try {
    const hidden: string[] = []
    collectHidden(error, hidden, 0)
    const without = (text: string) =>
      redact(hidden.reduce((left, message) => left.replaceAll(message, '(not shown)'), text).slice(0, MAX.characters))
    return describe(error, without, 0)
  } catch {
    // A proxy may throw at each access.
    return { type: 'unknown' }
  }
}

function describe(error: unknown, without: (text: string) => string, depth: number): LoggedError {
  if (!isErrorLike(error))
    return Object.assign(Object.create(null) as object, { type: typeof error, message: without(textOf(error)) })
  // Without a prototype, because pino writes the name of the constructor as the type.
  const described: LoggedError = Object.assign(Object.create(null) as object, { type: classOf(error) })
  const code = codeOf(error)
  if (code !== undefined) described.code = code
  if (isFromConnection(error)) {
    if (ofOwnQueries.has(error)) describeQueryError(error, described)
    return described
  }
  const [message, stack, cause, errors] = ['message', 'stack', 'cause', 'errors'].map((name) => read(error, name))
  described.message = typeof message === 'string' ? without(message) : '(the message cannot be read)'
  if (typeof stack === 'string') described.stack = without(stack)
  if (depth === MAX.causes) return described
  if (cause !== undefined) described.cause = describe(cause, without, depth + 1)
  if (Array.isArray(errors))
    described.aggregateErrors = errors.slice(0, MAX.errors).map((one) => describe(one, without, depth + 1))
  return described
}

/** Errors of PostgreSQL whose messages name tables, columns, functions and types: undefined objects, broken constraints. */
const NAMES_OBJECTS = /^(?:42|23)/
/** Errors whose messages have values, in quotes or after a colon. */
const NAMES_VALUES = /^2[12]/

function describeQueryError(error: object, described: LoggedError): void {
  const code = String(described.code)
  const [message, routine] = [String(read(error, 'message')), read(error, 'routine')]
  // `raise` of a function of the host may say anything.
  if (routine === 'exec_stmt_raise') return
  if (NAMES_OBJECTS.test(code)) described.message = redact(message.slice(0, MAX.reason))
  if (NAMES_VALUES.test(code))
    described.message = message
      .replace(/["«»„“”'].*["«»„“”']/s, '(not shown)')
      .replace(/: .*/s, '')
      .slice(0, MAX.reason)
  for (const name of ['table', 'column'] as const) {
    const value = read(error, name)
    if (typeof value === 'string') described[name] = value.slice(0, MAX.reason)
  }
}

/** Collects the messages that are not shown, of an error and of its causes. */
function collectHidden(error: unknown, hidden: string[], depth: number): void {
  if (!isErrorLike(error)) return
  const message = read(error, 'message')
  if (isFromConnection(error) && typeof message === 'string' && message !== '') hidden.push(message)
  if (depth === MAX.causes) return
  collectHidden(read(error, 'cause'), hidden, depth + 1)
  const errors = read(error, 'errors')
  if (Array.isArray(errors)) for (const one of errors.slice(0, MAX.errors)) collectHidden(one, hidden, depth + 1)
}

/**
 * Whether the error comes from a database, Redis or a connection. Its properties tell, because a host may use any
 * driver.
 */
function isFromConnection(error: object): boolean {
  const [code, syscall, command] = [read(error, 'code'), read(error, 'syscall'), read(error, 'command')]
  const parameters = read(error, 'params') ?? read(error, 'parameters')
  return (
    // PostgreSQL: SQLSTATE and severity. MySQL: `sqlState`. SQLite: a code of its own.
    (typeof read(error, 'severity') === 'string' && /^[0-9A-Z]{5}$/.test(String(code))) ||
    typeof read(error, 'sqlState') === 'string' ||
    /^(?:ERR_)?SQLITE_/.test(String(code)) ||
    // Drizzle, TypeORM and Sequelize wrap these errors; their messages contain the statement.
    (typeof read(error, 'query') === 'string' && Array.isArray(parameters)) ||
    typeof read(error, 'sql') === 'string' ||
    // Redis: ioredis adds the command, node-redis has a class.
    (typeof command === 'object' && command !== null && Array.isArray(read(command, 'args'))) ||
    /^(?:ReplyError|ErrorReply|SimpleError)$/.test(classOf(error)) ||
    // Sockets, DNS, TLS.
    /^(?:connect|getaddrinfo|query\w+)$/.test(String(syscall)) ||
    /^(?:ECONN[A-Z]+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ERR_TLS_\w+)$/.test(String(code))
  )
}

function classOf(error: object): string {
  const made = read(error, 'constructor')
  const names = [typeof made === 'function' ? read(made, 'name') : undefined, read(error, 'name')]
  return String(names.find((name) => typeof name === 'string' && /^[\w$]{1,100}$/.test(name)) ?? 'Error')
}

/**
 * Errors without a code, by the messages of Redis, ioredis, pg and its pool. The code is that of the error of the system
 * that means the same, or of Redis.
 */
const CODES: readonly (readonly [RegExp, string])[] = [
  // Redis 7.0 has no code for them: the error came up inside of a script.
  [/user executing the script can't|ACL failure in script/, 'NOPERM'],
  [/^ERR max number of clients reached/, 'MAXCLIENTS'],
  [
    /^(?:Command timed out|Socket timeout\.|Query read timeout|timeout ex(?:pired|ceeded when trying to connect)$|.*due to connection timeout)/,
    'ETIMEDOUT',
  ],
  [/^Connection (?:is closed|terminated)|^Client has encountered a connection error/, 'ECONNRESET'],
  [/^Stream isn't writeable|^Reached the max retries|^None of startup nodes/, 'ENOTCONN'],
  [/^The server does not support SSL|^There was an error establishing an SSL/, 'ERR_TLS_UNSUPPORTED'],
]

/**
 * Errors of Redis have no property for a code: it is the first word of the message, as in `NOAUTH Authentication
 * required`. Redis 6 writes that of a command in a script further back, as in `ERR Error running script …: -OOM …`.
 */
function codeOf(error: object): string | number | undefined {
  const code = read(error, 'code')
  if (typeof code === 'number' || (typeof code === 'string' && /^[\w-]{1,100}$/.test(code))) return code
  const message = String(read(error, 'message'))
  const found = CODES.find(([pattern]) => pattern.test(message))?.[1]
  if (found !== undefined || !isFromConnection(error)) return found
  return /^ERR Error running script.*: -?([A-Z]+)\b/.exec(message)?.[1] ?? /^[A-Z]+\b/.exec(message)?.[0]
}

/** Errors of another realm are not an `instanceof Error` of this one. */
function isErrorLike(error: unknown): error is object {
  if (typeof error !== 'object' || error === null) return false
  return types.isNativeError(error) || typeof read(error, 'message') === 'string'
}

function read(from: object, name: string): unknown {
  try {
    return Reflect.get(from, name)
  } catch {
    return undefined
  }
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : inspect(value, { depth: 0, breakLength: Infinity, customInspect: false })
}
