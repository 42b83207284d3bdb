/** The part of a logger that this package uses: pino and `app.log` have it. */
export interface Logger {
  debug(details: object, message: string): void
  info(details: object, message: string): void
  warn(details: object, message: string): void
}
