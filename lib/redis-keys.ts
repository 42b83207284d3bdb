/** The options of a Redis client that decide which keys its commands reach. ioredis has them. */
export interface KeyOptions {
  /** What the client puts before each key; also before the keys of scripts, but not before channels. */
  readonly keyPrefix?: string | Buffer | undefined
  /** The index of the database. */
  readonly db?: number | undefined
  /** The options of the nodes; only of a Cluster. */
  readonly redisOptions?:
    | {
        /** The index of the database. */
        readonly db?: number | undefined
      }
    | undefined
}

/** A client with such options. */
export interface WithKeyOptions {
  /** The options of the client. */
  readonly options?: KeyOptions | undefined
}

/**
 * Returns what the keys of a prefix begin with: `{prefix}`. The braces are a Redis Cluster hash tag: all keys of one
 * prefix share a slot. A prefix that has braces is used as it is: the keys of `app:{blog}` begin with `app:{blog}`.
 * @param shard what stands at the end of the hash tag: the keys of a shard are in a slot of their own. Default: nothing.
 */
export function keyRoot(prefix: string, shard = ''): string {
  const root = prefix.includes('{') ? prefix : `{${prefix}}`
  return root.replace('}', `${shard}}`)
}

/** Returns what the client puts before each key; empty: nothing. */
export function keyPrefixOf({ options }: WithKeyOptions): string {
  return String(options?.keyPrefix ?? '')
}

/** Returns the index of the client's database. Default 0. */
export function databaseOf({ options }: WithKeyOptions): number {
  return options?.db ?? options?.redisOptions?.db ?? 0
}
