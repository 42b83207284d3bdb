import { createHash } from 'node:crypto'

/** An argument of a Redis command. */
export type Argument = string | Buffer | number
export type Reply = (Buffer | number | null)[]
/** Runs a script: its text or its SHA-1, the number of keys, the keys, and the arguments. */
type Evaluate = (script: string, keys: number, ...rest: Argument[]) => Promise<unknown>

/**
 * What we need of a Redis client: ioredis and its Cluster have it. The first three are in its types only in part, and
 * made by `callBuffer` where they are missing. They come first because with `enableAutoPipelining` ioredis' `callBuffer`
 * drops the name of the command (6.0.0: `ERR unknown command '<sha>'`).
 */
export interface RedisClient {
  /** Sends EVALSHA; strings in the reply are buffers. */
  evalshaBuffer?: Evaluate
  /** Sends EVAL; strings in the reply are buffers. */
  evalBuffer?: Evaluate
  /** Sends GET; the reply is a buffer. */
  getBuffer?: (key: string) => Promise<unknown>
  /** Sends any command; strings in the reply are buffers. */
  callBuffer(command: string, ...args: Argument[]): Promise<unknown>
}

/** A Lua script as Redis knows it. */
export interface Script {
  lua: string
  /** SHA-1 of `lua`, for EVALSHA. */
  sha: string
}

export function defineScript(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

/** Runs scripts on a client: by name, or as a whole where Redis does not know them yet. Strings in replies are bytes. */
export function createRunner(client: RedisClient) {
  const evalsha: Evaluate = client.evalshaBuffer?.bind(client) ?? ((...all) => client.callBuffer('EVALSHA', ...all))
  const evaluate: Evaluate = client.evalBuffer?.bind(client) ?? ((...all) => client.callBuffer('EVAL', ...all))
  return async ({ sha, lua }: Script, keys: readonly string[], ...args: Argument[]): Promise<unknown> => {
    try {
      return await evalsha(sha, keys.length, ...keys, ...args)
    } catch (error) {
      // Redis was restarted, or has never seen it.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return evaluate(lua, keys.length, ...keys, ...args)
    }
  }
}
