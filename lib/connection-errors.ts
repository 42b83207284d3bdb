import { loggedError } from './logged-error.ts'

/** Why the connections of a Redis client fail. */
export interface ConnectionErrors {
  /** Keeps an error of a connection. */
  add(error: unknown): void
  /** Forgets the errors: the client has connected. */
  clear(): void
  /**
   * Returns the last error of a connection in place of an error that is only its consequence: a timeout, a closed
   * connection, or a limit of retries. Returns a reply of Redis unchanged.
   */
  causeOf(error: unknown): unknown
}

/** The codes of such consequences: see `codeOf` in `logged-error.ts`. */
const CONSEQUENCES = new Set<unknown>(['ETIMEDOUT', 'ECONNRESET', 'ENOTCONN'])

/** Creates the memory of the errors of a client's connections. */
export function createConnectionErrors(): ConnectionErrors {
  let last: unknown
  return {
    add(error) {
      const cause = nodeErrorOf(error)
      if (last === undefined || !isConsequence(cause)) last = cause
    },
    clear() {
      last = undefined
    },
    causeOf(error) {
      const cause = nodeErrorOf(error)
      return last !== undefined && isConsequence(cause) ? last : cause
    },
  }
}

/** A failure of the system has the name of its call. */
function isConsequence(error: unknown): boolean {
  return CONSEQUENCES.has(loggedError(error).code) && !(error instanceof Error && 'syscall' in error)
}

/** When no node of a Cluster replies, the error of ioredis has that of the last node. */
function nodeErrorOf(error: unknown): unknown {
  return error instanceof Error && 'lastNodeError' in error && error.lastNodeError ? error.lastNodeError : error
}
