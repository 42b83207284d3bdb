/** One request, as a web server logged it. */
export interface LoggedRequest {
  /** The client, as logged: an address in any notation (see `networkOf`), or the host name that the server resolved. */
  address: string
  /** Milliseconds since the epoch. */
  timeMs: number
  /** Empty if the client sent no request line, for example a TLS handshake to a plain port. */
  method: string
  /** The request target as sent, not decoded; empty without a request line. */
  target: string
  status: number
  /** The host that was requested, as logged, with or without a port; `undefined`: the line does not name it. */
  host: string | undefined
  /** The page that the client came from; `undefined`: the log has no such field, or the client sent none. */
  referer: string | undefined
  /** Empty if the client sent none; `undefined` if the log has no such field (common format). */
  userAgent: string | undefined
}

/**
 * Reads one line, without its end.
 * @returns the request; `null`: the line has none, such as `#Fields:`; `undefined`: the line is not of the format.
 */
export type LineReader = (line: string) => LoggedRequest | null | undefined

/** A format of logs. */
export interface LogFormat {
  /** The name for `--format`. */
  name: string
  /** Some formats depend on the lines before, so each log needs a reader of its own. */
  createReader(): LineReader
}
