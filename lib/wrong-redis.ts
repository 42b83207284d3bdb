import createError from '@fastify/error'

const WrongRedis = createError<[string]>('PP_WRONG_REDIS', 'Expected %s.', 500)

/**
 * Returns `PP_WRONG_REDIS` (500), which says what to do, in place of an error of Redis by which the server is the wrong
 * one: it has no database of this index, or runs no scripts. Returns any other error unchanged.
 */
export function explainRefusal(error: unknown, database: number): unknown {
  const message = error instanceof Error ? error.message : ''
  if (/DB index is out of range|invalid DB index|SELECT is not allowed in cluster mode/i.test(message))
    return new WrongRedis(
      `a Redis that has the database ${database}, got one without it: correct the index, or raise "databases" in redis.conf (a Cluster has only the database 0)`,
    )
  if (/^(?:-?ERR )?unknown command/i.test(message))
    return new WrongRedis(
      'a Redis or Valkey server that runs scripts (EVALSHA), got another one: for a Sentinel, pass a client as the option redis, new Redis({ sentinels: [{ host, port }], name })',
    )
  return error
}

/** Whether the error is `PP_WRONG_REDIS`. */
export function isWrongRedis(error: unknown): error is Error {
  return error instanceof WrongRedis
}
