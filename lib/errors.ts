/**
 * A reason not to start that whoever sits at the terminal can do something about: the message is one sentence that says
 * what is wrong and what helps, and needs no stack. The technical error, where there is one, is its `cause`.
 */
export class StartupError extends Error {
  override readonly name = 'StartupError'
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The code of a system or PostgreSQL error, as in `ENOENT` or `28P01`; empty when it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
