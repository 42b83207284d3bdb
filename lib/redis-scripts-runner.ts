import { createHash } from 'node:crypto'
import { databaseOf, type WithKeyOptions } from './redis-keys.ts'
import { explainRefusal } from './wrong-redis.ts'

/** An argument of a Redis command. */
export type RedisArgument = string | Buffer | number
/** A reply that is an array. */
export type Reply = (Buffer | number | null)[]
/** Runs a script: its text or its SHA-1, the number of keys, the keys, and the arguments. */
export type EvaluateScript = (script: string, keys: number, ...rest: RedisArgument[]) => Promise<unknown>

/**
 * The members of a Redis client that run scripts. ioredis and its Cluster have them. The first two are only partly in
 * its types; where one is missing, `callBuffer` takes its place. They are preferred because with `enableAutoPipelining`
 * the `callBuffer` of ioredis drops the name of the command (6.0.0: `ERR unknown command '<sha>'`).
 */
export interface RedisClient extends WithKeyOptions {
  /** Whether the client is connected to a Cluster. */
  readonly isCluster?: boolean | undefined
  /** Sends EVALSHA; strings in the reply are buffers. */
  evalshaBuffer?: EvaluateScript
  /** Sends EVAL; strings in the reply are buffers. */
  evalBuffer?: EvaluateScript
  /** Sends any command; strings in the reply are buffers. */
  callBuffer(command: string, ...args: RedisArgument[]): Promise<unknown>
  /** Closes the connection; with `true` the client connects again. */
  disconnect?(reconnect?: boolean): void
}

/** A Lua script, and the name under which Redis caches it. */
export interface Script {
  lua: string
  /** SHA-1 of `lua`, for EVALSHA. */
  sha: string
}

/** Returns a script with its SHA-1. */
export function defineScript(lua: string): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex') }
}

/** Redis refuses writes: it is a replica. Redis 6 puts the code into the middle of the message. */
const isReadOnly = (error: Error) => /\bREADONLY\b/.test(error.message)
/** The shortest time between two reconnects because of a replica (ms). */
const RECONNECT_MS = 5_000

/**
 * Returns a function that runs scripts: by SHA-1, or with its text if Redis does not have it. Strings in replies are
 * buffers, and integers are numbers. The function rejects with `PP_WRONG_REDIS` where the server has no such database, or
 * runs no scripts.
 *
 * When the server has become a replica, the client reconnects: after a failover the address leads to the new master.
 */
export function createRunner(client: RedisClient) {
  const evalsha: EvaluateScript =
    client.evalshaBuffer?.bind(client) ?? ((...all) => client.callBuffer('EVALSHA', ...all))
  const evaluate: EvaluateScript = client.evalBuffer?.bind(client) ?? ((...all) => client.callBuffer('EVAL', ...all))
  let reconnectedAtMs = Number.NEGATIVE_INFINITY
  const database = databaseOf(client)
  const selecting = new Map<Script, Script>()

  /**
   * Makes the script select the database itself. Where Redis refuses the index of a new connection, ioredis goes on with
   * database 0, whose keys may be those of another program.
   */
  function inDatabase(script: Script): Script {
    if (database === 0) return script
    const known = selecting.get(script)
    if (known !== undefined) return known
    const made = defineScript(script.lua.replace(/^(?:#!.*\n)?/, `$&redis.call('SELECT', ${database})\n`))
    selecting.set(script, made)
    return made
  }

  async function run(script: Script, keys: readonly string[], ...args: RedisArgument[]): Promise<unknown> {
    const { sha, lua } = inDatabase(script)
    try {
      return withNumbers(await evalsha(sha, keys.length, ...keys, ...args))
    } catch (error) {
      // Redis was restarted, or has never run this script.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw explainRefusal(error, database)
    }
    return withNumbers(
      await evaluate(lua, keys.length, ...keys, ...args).catch((error: unknown) => {
        throw explainRefusal(error, database)
      }),
    )
  }

  return async (script: Script, keys: readonly string[], ...args: RedisArgument[]): Promise<unknown> => {
    try {
      return await run(script, keys, ...args)
    } catch (error) {
      const nowMs = performance.now()
      if (error instanceof Error && isReadOnly(error) && nowMs - reconnectedAtMs >= RECONNECT_MS) {
        reconnectedAtMs = nowMs
        client.disconnect?.(true)
      }
      throw error
    }
  }
}

/** With `stringNumbers`, ioredis returns integers as strings; all strings of Redis are buffers here. */
function withNumbers(reply: unknown): unknown {
  if (typeof reply === 'string') return Number(reply)
  return Array.isArray(reply) && reply.some((part) => typeof part === 'string') ? reply.map(withNumbers) : reply
}
