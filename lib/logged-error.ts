import { inspect, types } from 'node:util'

/** An error as it is written to a log: a plain object that any logger can write. */
export interface LoggedError {
  /** Its class; of what is no error, its type. */
  type: string
  code?: string | number
  message?: string
  stack?: string
  cause?: LoggedError
  /** Of an `AggregateError`; the name is pino's. */
  aggregateErrors?: LoggedError[]
}

/** How much of an error is logged at most: causes in a row, errors beside each other, characters of a text. */
const MOST = { causes: 5, errors: 10, characters: 10_000 }

/**
 * The one place that decides what a log shows of an error. An error of a database, of Redis or of a connection is its class
 * and its code, because its message may name hosts, users and statements; and what its wrappers repeat of that message is
 * left out of theirs. Every other error is shown whole: message, stack and causes, and no further properties. Never throws,
 * whatever the error is.
 */
export function loggedError(error: unknown): LoggedError {
  try {
    const hidden: string[] = []
    collectHidden(error, hidden, 0)
    const without = (text: string) =>
      hidden.reduce((left, message) => left.replaceAll(message, '(not shown)'), text).slice(0, MOST.characters)
    return describe(error, without, 0)
  } catch {
    // A proxy may throw at any touch.
    return { type: 'unknown' }
  }
}

function describe(error: unknown, without: (text: string) => string, depth: number): LoggedError {
  if (!isErrorLike(error))
    return Object.assign(Object.create(null) as object, { type: typeof error, message: without(textOf(error)) })
  // Without a prototype: pino takes the name of the constructor for the type.
  const described: LoggedError = Object.assign(Object.create(null) as object, { type: classOf(error) })
  const code = codeOf(error)
  if (code !== undefined) described.code = code
  if (isFromConnection(error)) return described
  const [message, stack, cause, errors] = ['message', 'stack', 'cause', 'errors'].map((name) => read(error, name))
  described.message = typeof message === 'string' ? without(message) : '(the message cannot be read)'
  if (typeof stack === 'string') described.stack = without(stack)
  if (depth === MOST.causes) return described
  if (cause !== undefined) described.cause = describe(cause, without, depth + 1)
  if (Array.isArray(errors))
    described.aggregateErrors = errors.slice(0, MOST.errors).map((one) => describe(one, without, depth + 1))
  return described
}

/** The messages that are not shown, in an error and in its causes. */
function collectHidden(error: unknown, hidden: string[], depth: number): void {
  if (!isErrorLike(error)) return
  const message = read(error, 'message')
  if (isFromConnection(error) && typeof message === 'string' && message !== '') hidden.push(message)
  if (depth === MOST.causes) return
  collectHidden(read(error, 'cause'), hidden, depth + 1)
  const errors = read(error, 'errors')
  if (Array.isArray(errors)) for (const one of errors.slice(0, MOST.errors)) collectHidden(one, hidden, depth + 1)
}

/** Whether it comes from a database, from Redis, or from a connection; by its form, as a host may have drivers of its own. */
function isFromConnection(error: object): boolean {
  const [code, syscall, command] = [read(error, 'code'), read(error, 'syscall'), read(error, 'command')]
  const parameters = read(error, 'params') ?? read(error, 'parameters')
  return (
    // PostgreSQL: SQLSTATE and severity. MySQL: `sqlState`. SQLite: a code of its own.
    (typeof read(error, 'severity') === 'string' && /^[0-9A-Z]{5}$/.test(String(code))) ||
    typeof read(error, 'sqlState') === 'string' ||
    /^(?:ERR_)?SQLITE_/.test(String(code)) ||
    // What Drizzle, TypeORM and Sequelize make of these: the statement is in the message.
    (typeof read(error, 'query') === 'string' && Array.isArray(parameters)) ||
    typeof read(error, 'sql') === 'string' ||
    // Redis: ioredis adds the command, node-redis has a class.
    (typeof command === 'object' && command !== null && Array.isArray(read(command, 'args'))) ||
    /^(?:ReplyError|ErrorReply|SimpleError)$/.test(classOf(error)) ||
    // Sockets, the resolver, TLS.
    /^(?:connect|getaddrinfo|query\w+)$/.test(String(syscall)) ||
    /^(?:ECONN[A-Z]+|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|ERR_TLS_\w+)$/.test(String(code))
  )
}

function classOf(error: object): string {
  const made = read(error, 'constructor')
  const names = [typeof made === 'function' ? read(made, 'name') : undefined, read(error, 'name')]
  return String(names.find((name) => typeof name === 'string' && /^[\w$]{1,100}$/.test(name)) ?? 'Error')
}

/** Redis has no codes: the first word of an answer is one, as in `NOAUTH Authentication required`. */
function codeOf(error: object): string | number | undefined {
  const code = read(error, 'code')
  if (typeof code === 'number' || (typeof code === 'string' && /^[\w-]{1,100}$/.test(code))) return code
  return isFromConnection(error) ? /^[A-Z]+\b/.exec(String(read(error, 'message')))?.[0] : undefined
}

/** Errors of another realm are no `instanceof` ours. */
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
