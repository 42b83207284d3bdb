/** The methods of a logger that this package calls. pino and `app.log` have them. */
export interface Logger {
  /** Logs what an operator needs only to find a fault. */
  debug(details: object, message: string): void
  /** Logs what happens normally. */
  info(details: object, message: string): void
  /** Logs a failure. */
  warn(details: object, message: string): void
}

/** A logger that writes errors, too. */
export interface ErrorLogger extends Logger {
  error(details: object, message: string): void
}
