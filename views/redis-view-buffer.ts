import { randomBytes } from 'node:crypto'
import { createRunner, defineScript, type RedisClient, type Reply } from '../cache/redis-client.ts'
import { type BufferedViews, MAX_BATCHES, type ViewBuffer } from './view-buffer.ts'

interface RedisViewBufferOptions {
  client: RedisClient
  /** What all keys begin with, in braces: one slot of a Cluster. */
  prefix: string
  /** A visitor counts once a post in this time. */
  dedupSeconds: number
}

/** KEYS: buffer, visitors. ARGV: field, dedup ms. */
const ADD = defineScript(`
for index = 2, #KEYS do
  if redis.call('EXISTS', KEYS[index]) == 1 then return 0 end
end
redis.call('SET', KEYS[2], '', 'PX', ARGV[2])
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
return 1`)

/** KEYS: buffer, ids of batches, batch. ARGV: id, most batches. Answers all ids. */
const TAKE = defineScript(`
if redis.call('SCARD', KEYS[2]) < tonumber(ARGV[2]) and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[3])
  redis.call('SADD', KEYS[2], ARGV[1])
end
return redis.call('SMEMBERS', KEYS[2])`)

/** KEYS: batch. Answers field, views, field, views… */
const READ = defineScript(`return redis.call('HGETALL', KEYS[1])`)

/** KEYS: ids of batches, batch. ARGV: id. */
const DROP = defineScript(`
redis.call('DEL', KEYS[2])
redis.call('SREM', KEYS[1], ARGV[1])
return 1`)

/** KEYS: salt. ARGV: a new one, seconds to live. */
const SALT = defineScript(`
local salt = redis.call('GET', KEYS[1])
if salt then return salt end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return ARGV[1]`)

/** The day itself, a day in which its visitors are remembered, and one to spare. */
const SALT_SECONDS = 3 * 86_400

/**
 * A buffer in Redis, shared by all processes: what it has taken is counted by whichever process is alive. Losing Redis'
 * memory loses the views since the last flush.
 */
export function createRedisViewBuffer({ client, prefix, dedupSeconds }: RedisViewBufferOptions): ViewBuffer {
  const run = createRunner(client)
  const key = (...parts: string[]) => [`{${prefix}}`, 'views', ...parts].join(':')
  const [buffer, batches] = [key('buffer'), key('batches')]
  const batch = (id: string) => key('batch', id)

  return {
    async add({ visitors, postId, quarterMs }) {
      const seen = visitors.map((visitor) => key('seen', visitor))
      return (await run(ADD, [buffer, ...seen], `${quarterMs} ${postId}`, dedupSeconds * 1000)) === 1
    },

    async take(id) {
      return ((await run(TAKE, [buffer, batches, batch(id)], id, MAX_BATCHES)) as Reply).map(String)
    },

    async read(id) {
      const reply = (await run(READ, [batch(id)])) as Reply
      const found: BufferedViews[] = []
      for (let index = 0; index < reply.length; index += 2) {
        const [, quarter, postId = ''] = /^([0-9]+) (.*)$/s.exec(String(reply[index])) ?? []
        found.push({ postId, quarterMs: Number(quarter), views: Number(reply[index + 1]) })
      }
      return found
    },

    async drop(id) {
      await run(DROP, [batches, batch(id)], id)
    },

    async salt(day) {
      return (await run(SALT, [key('salt', day)], randomBytes(32), SALT_SECONDS)) as Buffer
    },
  }
}
