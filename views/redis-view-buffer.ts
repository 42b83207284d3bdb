import { randomBytes } from 'node:crypto'
import { createRunner, defineScript, type RedisClient, type Reply } from '../lib/redis-scripts-runner.ts'
import { batchPerTick } from './batch-per-tick.ts'
import {
  MAX_ASIDE,
  MAX_BATCH_COUNTS,
  MAX_BATCHES,
  type PendingView,
  type ViewBuffer,
  type ViewCount,
} from './view-buffer.ts'

interface RedisViewBufferOptions {
  client: RedisClient
  /** The prefix of all keys. It is in braces, so that all keys are in one slot of a Cluster. */
  prefix: string
  /** A visitor of a post counts once in this time. */
  dedupSeconds: number
  /** Runs commands for views and salts with a deadline. Default: without one. */
  ask?: <T>(work: () => Promise<T>) => Promise<T>
  /** Called with the number of counts of a batch that are not valid, because another program has written them. */
  onUnreadable?: (numbers: number) => void
}

const runDirectly = <T>(work: () => Promise<T>) => work()

/** KEYS: buffer, visitors of each view. ARGV: dedup ms; then for each view its field, and how many visitors it has. */
const ADD = defineScript(`
local replies, visitor = {}, 2
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
  replies[#replies + 1] = isRepeat and 0 or 1
end
return replies`)

/** The most views of one command: they block Redis for about 0.3 ms. */
const MAX_VIEWS_PER_ADD = 100

/** KEYS: id of the last batch. */
const GET_LAST = defineScript(`return redis.call('GET', KEYS[1]) or ''`)

/**
 * KEYS: buffer, ids of batches, batch, id of the last batch, cursor, batches set aside. ARGV: id, the most batches, id of the
 * last batch as GET_LAST returned it, the most counts of a batch. Returns the number of counts that are left, the number of
 * batches set aside, their ids, and the ids of the batches to be counted.
 *
 * Why it compares the id of the last batch:
 *
 * 1. Redis runs TAKE, and the connection breaks before the reply.
 * 2. Another process counts the batch and drops it.
 * 3. A view is added to the buffer.
 * 4. ioredis sends the same TAKE again.
 *
 * Without the comparison the view would be in a batch whose id has been counted; without (2), it would be added to the counts
 * of the batch. The same holds when only a part of the buffer is taken.
 *
 * HSCAN finds a part, from where the last part ended: from the beginning, each scan would step over the fields that were taken
 * before. The cursor is a hint: with any cursor the next part is found, and RENAME takes the rest. A part becomes a list,
 * because Redis compares each field of a new, small hash with all others: 3 times the time. The script deletes first and then
 * writes: a Redis that is full lets a script continue that has written, and this buffer may be what fills it.
 */
const TAKE = defineScript(`
local most, left = tonumber(ARGV[4]), redis.call('HLEN', KEYS[1])
local isSameLast = (redis.call('GET', KEYS[4]) or '') == ARGV[3]
local taken = 0
if isSameLast and left > 0 and redis.call('SCARD', KEYS[2]) < tonumber(ARGV[2]) then
  if left <= most then
    redis.call('RENAME', KEYS[1], KEYS[3])
    redis.call('DEL', KEYS[5])
    taken = left
  else
    local cursor, scans = redis.call('GET', KEYS[5]) or '0', 0
    repeat
      local scan = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', most - taken)
      local found = scan[2]
      local numbers = math.min(#found / 2, most - taken)
      for first = 1, 2 * numbers, 1000 do
        local last = math.min(first + 999, 2 * numbers)
        local fields = {}
        for index = first, last, 2 do fields[#fields + 1] = found[index] end
        redis.call('HDEL', KEYS[1], unpack(fields))
        redis.call('RPUSH', KEYS[3], unpack(found, first, last))
      end
      if 2 * numbers == #found then cursor = scan[1] end
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
local replies = { left - taken, #aside }
for _, ids in ipairs({ aside, redis.call('SMEMBERS', KEYS[2]), redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', nowMs) }) do
  for _, id in ipairs(ids) do replies[#replies + 1] = id end
end
return replies`)

/** KEYS: batch. Returns field, views, field, views… */
const READ = defineScript(`
if redis.call('TYPE', KEYS[1]).ok == 'list' then return redis.call('LRANGE', KEYS[1], 0, -1) end
return redis.call('HGETALL', KEYS[1])`)

/** KEYS: ids of batches, batches set aside, batch. ARGV: id. */
const DROP = defineScript(`
redis.call('DEL', KEYS[3])
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1`)

/** KEYS: ids of batches, batches set aside, batch. ARGV: id, ms until the retry, the most batches set aside. */
const SET_ASIDE = defineScript(`
if redis.call('EXISTS', KEYS[3]) == 0 then return 1 end
local isAside = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not isAside and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then return 0 end
local now = redis.call('TIME')
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[2], ARGV[1])
return 1`)

/** KEYS: salt. ARGV: a new salt, its time to live in seconds. */
const SALT = defineScript(`
local salt = redis.call('GET', KEYS[1])
if salt then return salt end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
return ARGV[1]`)

/** The day itself, one day in which its visitors are remembered, and one day of reserve. */
const SALT_SECONDS = 3 * 86_400

/**
 * Creates a buffer in Redis, which all processes share: any process counts the batches that another one took. When Redis loses
 * its memory, the views since the last flush are lost.
 */
export function createRedisViewBuffer({
  client,
  prefix,
  dedupSeconds,
  ask = runDirectly,
  onUnreadable = () => {},
}: RedisViewBufferOptions): ViewBuffer {
  const run = createRunner(client)
  const key = (...parts: string[]) => [`{${prefix}}`, 'views', ...parts].join(':')
  const [buffer, cursor] = [key('buffer'), key('cursor')]
  const [batches, last, aside] = [key('batches'), key('last'), key('aside')]
  const batch = (id: string) => key('batch', id)
  // One command for each view would cost Redis and this process more than the rest of the recording.
  const add = batchPerTick(async (views: PendingView[]) => {
    const seen = views.flatMap(({ visitors }) => visitors.map((visitor) => key('seen', visitor)))
    const fields = views.flatMap(({ bucketStartMs, postId, visitors }) => [
      `${bucketStartMs} ${postId}`,
      visitors.length,
    ])
    return (await ask(() => run(ADD, [buffer, ...seen], dedupSeconds * 1000, ...fields))) as Reply
  }, MAX_VIEWS_PER_ADD)

  return {
    add: async (view) => (await add(view)) === 1,

    async take(id) {
      // If another process takes a batch between the two commands, this one takes none.
      const lastId = (await run(GET_LAST, [last])) as Buffer
      const keys = [buffer, batches, batch(id), last, cursor, aside]
      const reply = (await run(TAKE, keys, id, MAX_BATCHES, lastId, MAX_BATCH_COUNTS)) as Reply
      const [left, firstId] = [Number(reply[0]), 2 + Number(reply[1])]
      return { left, aside: reply.slice(2, firstId).map(String), ids: reply.slice(firstId).map(String) }
    },

    async read(id) {
      const reply = (await run(READ, [batch(id)])) as Reply
      const found: ViewCount[] = []
      for (let index = 0; index < reply.length; index += 2) {
        const views = parseCount(String(reply[index]), Number(reply[index + 1]))
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

/** The latest time that JavaScript and PostgreSQL write in the same way. */
const MAX_TIME_MS = Date.UTC(9999, 11, 31)

/** Parses a field of the buffer and its count; `undefined`: another program has written it. */
function parseCount(field: string, views: number): ViewCount | undefined {
  const space = field.indexOf(' ')
  const [bucketStartMs, postId] = [Number(field.slice(0, space)), field.slice(space + 1)]
  const isMoment = space > 0 && Number.isInteger(bucketStartMs) && bucketStartMs >= 0 && bucketStartMs <= MAX_TIME_MS
  // A text of PostgreSQL has no NUL.
  const isPost = postId !== '' && !postId.includes('\0')
  return isMoment && isPost && Number.isSafeInteger(views) && views > 0 ? { postId, bucketStartMs, views } : undefined
}
