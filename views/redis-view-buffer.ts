import { randomBytes } from 'node:crypto'
import { createRunner, defineScript, type RedisClient, type Reply } from '../lib/redis-scripts-runner.ts'
import { together } from './batch-per-tick.ts'
import {
  BATCH_NUMBERS,
  type BufferedView,
  type BufferedViews,
  MAX_ASIDE,
  MAX_BATCHES,
  type ViewBuffer,
} from './view-buffer.ts'

interface RedisViewBufferOptions {
  client: RedisClient
  /** What all keys begin with, in braces: one slot of a Cluster. */
  prefix: string
  /** A visitor counts once a post in this time. */
  dedupSeconds: number
  /** The way to Redis for views and salts: nobody must wait for long. Default: any time. */
  ask?: <T>(work: () => Promise<T>) => Promise<T>
  /** Told how many numbers of a batch are not views: another program has written them. They are left out. */
  onUnreadable?: (numbers: number) => void
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
 * KEYS: buffer, ids of batches, batch, id of the last batch, cursor, batches set aside. ARGV: id, most batches, id of the last
 * batch as LAST told it, most numbers of a batch. Answers how many numbers are left, how many batches are aside, the ids of these
 * and those of the batches to be counted.
 *
 * Why the last one: (1) Redis runs TAKE, and the connection breaks before the answer; (2) another process counts the batch
 * and drops it; (3) a view comes; (4) ioredis sends the same TAKE again. The view would be in a batch whose id has been
 * counted; without (2), it would be added to those of the batch. It is the same where only a part of the buffer is taken.
 *
 * A part is found by HSCAN from where the last one ended: from the beginning, each would pass over what was taken before. The
 * cursor is a hint: whatever it says, the next part is found, and RENAME takes the rest. A part becomes a list, because each
 * field of a new hash is compared with all others while it is small: 3 times the time. Deleted first, then written: a Redis
 * that is full lets a script go on which has written, and what fills it may be this buffer.
 */
const TAKE = defineScript(`
local most, left = tonumber(ARGV[4]), redis.call('HLEN', KEYS[1])
local isAsTold = (redis.call('GET', KEYS[4]) or '') == ARGV[3]
local taken = 0
if isAsTold and left > 0 and redis.call('SCARD', KEYS[2]) < tonumber(ARGV[2]) then
  if left <= most then
    redis.call('RENAME', KEYS[1], KEYS[3])
    redis.call('DEL', KEYS[5])
    taken = left
  else
    local cursor, scans = redis.call('GET', KEYS[5]) or '0', 0
    repeat
      local answer = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', most - taken)
      local found = answer[2]
      local numbers = math.min(#found / 2, most - taken)
      for first = 1, 2 * numbers, 1000 do
        local last = math.min(first + 999, 2 * numbers)
        local fields = {}
        for index = first, last, 2 do fields[#fields + 1] = found[index] end
        redis.call('HDEL', KEYS[1], unpack(fields))
        redis.call('RPUSH', KEYS[3], unpack(found, first, last))
      end
      if 2 * numbers == #found then cursor = answer[1] end
      taken = taken + numbers
      scans = scans + 1
    until taken == most or scans == 10
    redis.call('SET', KEYS[5], cursor)
  end
end
if taken > 0 then
  redis.call('SADD', KEYS[2], ARGV[1])
  redis.call('SET', KEYS[4], ARGV[1])
end
local now = redis.call('TIME')
local nowMs = now[1] * 1000 + math.floor(now[2] / 1000)
local aside = redis.call('ZRANGEBYSCORE', KEYS[6], '(' .. nowMs, '+inf')
local answers = { left - taken, #aside }
for _, ids in ipairs({ aside, redis.call('SMEMBERS', KEYS[2]), redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', nowMs) }) do
  for _, id in ipairs(ids) do answers[#answers + 1] = id end
end
return answers`)

/** KEYS: batch. Answers field, views, field, views… */
const READ = defineScript(`
if redis.call('TYPE', KEYS[1]).ok == 'list' then return redis.call('LRANGE', KEYS[1], 0, -1) end
return redis.call('HGETALL', KEYS[1])`)

/** KEYS: ids of batches, batches set aside, batch. ARGV: id. */
const DROP = defineScript(`
redis.call('DEL', KEYS[3])
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1`)

/** KEYS: ids of batches, batches set aside, batch. ARGV: id, ms until it is tried again, most batches aside. */
const SET_ASIDE = defineScript(`
if redis.call('EXISTS', KEYS[3]) == 0 then return 1 end
local isAside = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not isAside and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then return 0 end
local now = redis.call('TIME')
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[2], ARGV[1])
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
  onUnreadable = () => {},
}: RedisViewBufferOptions): ViewBuffer {
  const run = createRunner(client)
  const key = (...parts: string[]) => [`{${prefix}}`, 'views', ...parts].join(':')
  const [buffer, cursor] = [key('buffer'), key('cursor')]
  const [batches, last, aside] = [key('batches'), key('last'), key('aside')]
  const batch = (id: string) => key('batch', id)
  // A command for each view costs Redis and this process more than all the rest of recording it.
  const add = together(async (views: BufferedView[]) => {
    const seen = views.flatMap(({ visitors }) => visitors.map((visitor) => key('seen', visitor)))
    const fields = views.flatMap(({ bucketStartMs, postId, visitors }) => [
      `${bucketStartMs} ${postId}`,
      visitors.length,
    ])
    return (await ask(() => run(ADD, [buffer, ...seen], dedupSeconds * 1000, ...fields))) as Reply
  }, MOST_ADDED_AT_ONCE)

  return {
    add: async (view) => (await add(view)) === 1,

    async take(id) {
      // Where another process takes a batch in between, this one takes none, and may try again.
      const lastId = (await run(LAST, [last])) as Buffer
      const keys = [buffer, batches, batch(id), last, cursor, aside]
      const reply = (await run(TAKE, keys, id, MAX_BATCHES, lastId, BATCH_NUMBERS)) as Reply
      const [left, firstId] = [Number(reply[0]), 2 + Number(reply[1])]
      return { left, aside: reply.slice(2, firstId).map(String), ids: reply.slice(firstId).map(String) }
    },

    async read(id) {
      const reply = (await run(READ, [batch(id)])) as Reply
      const found: BufferedViews[] = []
      for (let index = 0; index < reply.length; index += 2) {
        const views = readNumber(String(reply[index]), Number(reply[index + 1]))
        if (views !== undefined) found.push(views)
      }
      const unreadable = reply.length / 2 - found.length
      if (unreadable > 0) onUnreadable(unreadable)
      return found
    },

    async drop(id) {
      await run(DROP, [batches, aside, batch(id)], id)
    },

    async setAside(id, delayMs) {
      return (await run(SET_ASIDE, [batches, aside, batch(id)], id, delayMs, MAX_ASIDE)) === 1
    },

    async salt(day) {
      return (await ask(() => run(SALT, [key('salt', day)], randomBytes(32), SALT_SECONDS))) as Buffer
    },
  }
}

/** PostgreSQL knows later moments, but not as JavaScript writes them. */
const LAST_MS = Date.UTC(9999, 11, 31)

/** A field of the buffer and its number; `undefined`: no process of ours has written it. */
function readNumber(field: string, views: number): BufferedViews | undefined {
  const space = field.indexOf(' ')
  const [bucketStartMs, postId] = [Number(field.slice(0, space)), field.slice(space + 1)]
  const isMoment = space > 0 && Number.isInteger(bucketStartMs) && bucketStartMs >= 0 && bucketStartMs <= LAST_MS
  // PostgreSQL has no text with a NUL in it.
  const isPost = postId !== '' && !postId.includes('\0')
  return isMoment && isPost && Number.isSafeInteger(views) && views > 0 ? { postId, bucketStartMs, views } : undefined
}
