/**
 * An error at the start of a program that its user can fix. The message is one sentence that says what is wrong and
 * what to do; it is printed without a stack. `cause` is the technical error, if there is one.
 */
export class StartupError extends Error {
  override readonly name: string = 'StartupError'
}

/** Returns the message of an error; of another thrown value, its text. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** Returns the code of a system or PostgreSQL error, such as `ENOENT` or `28P01`; empty if it has none. */
export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''
}
