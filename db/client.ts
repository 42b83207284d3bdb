import pg from 'pg'

/** The server, and a password that is not in its URL. */
export interface ConnectionOptions {
  /** Of the form `postgres://user@host/database`, with all parameters that the driver knows. */
  connectionString: string
  /** Makes the password of each new connection: for tokens that expire. Default: the password in the URL. */
  password?: (() => string) | undefined
}

/**
 * Returns the class of the driver's clients, whose connections have a password from the function. Given a URL and a
 * password, the driver itself prefers the password of the URL, even a missing one.
 */
export function clientClass(password: ConnectionOptions['password']): typeof pg.Client {
  if (password === undefined) return pg.Client
  return class extends pg.Client {
    constructor(config?: string | pg.ClientConfig) {
      super(config)
      // The driver calls a function when the server requests a password.
      Object.assign(this, { password })
    }
  }
}
