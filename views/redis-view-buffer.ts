import { randomBytes } from 'node:crypto'
import { createRunner, defineScript, type RedisClient, type Reply } from '../cache/redis-client.ts'
import { together } from './together.ts'
import { type BufferedView, type BufferedViews, MAX_BATCHES, type ViewBuffer } from './view-buffer.ts'

interface RedisViewBufferOptions {
  client: RedisClient
  /** What all keys begin with, in braces: one slot of a Cluster. */
  prefix: string
  /** A visitor counts once a post in this time. */
  dedupSeconds: number
  /** The way to Redis for views and salts: nobody must wait for long. Default: any time. */
  ask?: <T>(work: () => Promise<T>) => Promise<T>
}

const askAtAnyTime = <T>(work: () => Promise<T>) => work()

/** KEYS: buffer, visitors of each view. ARGV: dedup ms; then for each view its field, and how many visitors it has. */
const ADD = defineScript(`
local answers, visitor = {}, 2
for index = 2, #ARGV, 2 do
  local first, isRepeat = visitor, false
  visitor = visitor + ARGV[index + 1]
  for other = first, visitor - 1 do
    isRepeat = isRepeat or redis.call('EXISTS', KEYS[other]) == 1
  end
  if not isRepeat then
    redis.call('SET', KEYS[first], '', 'PX', ARGV[1])
    redis.call('HINCRBY', KEYS[1], ARGV[index], 1)
  end
  answers[#answers + 1] = isRepeat and 0 or 1
end
return answers`)

/** For Redis some 0.3 ms, in which it does nothing else. */
const MOST_ADDED_AT_ONCE = 100

/** KEYS: id of the last batch. */
const LAST = defineScript(`return redis.call('GET', KEYS[1]) or ''`)

/**
 * KEYS: buffer, ids of batches, batch, id of the last batch. ARGV: id, most batches, id of the last batch as LAST told it.
 * Answers all ids.
 *
 * Why the last one: (1) Redis runs TAKE, and the connection breaks before the answer; (2) somebody counts the batch and
 * drops it; (3) a view comes; (4) ioredis sends the same TAKE again. The view would be in a batch whose id has been
 * counted; without (2), it would replace those of the batch.
 */
const TAKE = defineScript(`
local isAsTold = (redis.call('GET', KEYS[4]) or '') == ARGV[3]
if isAsTold and redis.call('SCARD', KEYS[2]) < tonumber(ARGV[2]) and redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('RENAME', KEYS[1], KEYS[3])
  redis.call('SADD', KEYS[2], ARGV[1])
  redis.call('SET', KEYS[4], ARGV[1])
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
export function createRedisViewBuffer({
  client,
  prefix,
  dedupSeconds,
  ask = askAtAnyTime,
}: RedisViewBufferOptions): ViewBuffer {
  const run = createRunner(client)
  const key = (...parts: string[]) => [`{${prefix}}`, 'views', ...parts].join(':')
  const [buffer, batches, last] = [key('buffer'), key('batches'), key('last')]
  const batch = (id: string) => key('batch', id)
  // A command for each view costs Redis and this process more than all the rest of recording it.
  const add = together(async (views: BufferedView[]) => {
    const seen = views.flatMap(({ visitors }) => visitors.map((visitor) => key('seen', visitor)))
    const fields = views.flatMap(({ quarterMs, postId, visitors }) => [`${quarterMs} ${postId}`, visitors.length])
    return (await ask(() => run(ADD, [buffer, ...seen], dedupSeconds * 1000, ...fields))) as Reply
  }, MOST_ADDED_AT_ONCE)

  return {
    add: async (view) => (await add(view)) === 1,

    async take(id) {
      // Where another takes a batch in between, this one takes none: what was waiting is in the other's.
      const lastId = (await run(LAST, [last])) as Buffer
      const keys = [buffer, batches, batch(id), last]
      return ((await run(TAKE, keys, id, MAX_BATCHES, lastId)) as Reply).map(String)
    },

    async read(id) {
      const reply = (await run(READ, [batch(id)])) as Reply
      const found: BufferedViews[] = []
      for (let index = 0; index < reply.length; index += 2) {
        const field = String(reply[index])
        const space = field.indexOf(' ')
        const [quarterMs, postId] = [Number(field.slice(0, space)), field.slice(space + 1)]
        found.push({ postId, quarterMs, views: Number(reply[index + 1]) })
      }
      return found
    },

    async drop(id) {
      await run(DROP, [batches, batch(id)], id)
    },

    async salt(day) {
      return (await ask(() => run(SALT, [key('salt', day)], randomBytes(32), SALT_SECONDS))) as Buffer
    },
  }
}
