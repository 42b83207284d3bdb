import { defineScript } from '../lib/redis-scripts-runner.ts'

/** Lua that sets `now` to Redis' own clock (ms), so that the clocks of processes are never compared. */
export const REDIS_TIME = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/*
 * KEYS: 1 generation, 2 value, 3 lease, 4 cool-down; all in one slot.
 * Times are stored as moments ("until", "at") and compared here. PEXPIRE only removes keys whose moment has passed.
 */
const SHARED = `
local function hard(generation) return string.match(generation, '^([^.]*)') end
local function text(number) return string.format('%.0f', number) end
-- Returns {bytes or false, age, ttl, keptUntilIfRead}: the value, if it is of this hard generation and still kept; and the
-- moment until which the first read keeps it, else false. A value without expiresAt was written by an older version.
local function find(generation)
  local value = redis.call('HMGET', KEYS[2], 'generation', 'expiresAt', 'keptUntil', 'committedAt', 'bytes', 'keptUntilIfRead')
  if not value[2] or hard(value[1]) ~= hard(generation) or tonumber(value[3]) <= now then return {false, 0, 0, false} end
  local ttl = tonumber(value[2]) - now
  if value[1] ~= generation then ttl = math.min(0, ttl) end
  local keptUntilIfRead = value[6] and tonumber(value[6]) > tonumber(value[3]) and value[6]
  return {value[5], now - tonumber(value[4]), ttl, keptUntilIfRead}
end
-- Returns the token of the holder of the lease, or false, and until when the lease is held.
local function holder(generation)
  local lease = redis.call('HMGET', KEYS[3], 'token', 'generation', 'until')
  if not lease[1] or lease[2] ~= generation or tonumber(lease[3]) <= now then return false, 0 end
  return lease[1], tonumber(lease[3])
end
`

/** ARGV: nonce, token, lease ms, force. Replies: state, generation, bytes, age, ttl, retry after (ms). */
const ACQUIRE = `
local generation = redis.call('GET', KEYS[1])
if not generation then
  -- The key was never written, or Redis has lost it: with a new generation no older value is current.
  generation = ARGV[1] .. '.' .. ARGV[1]
  redis.call('SET', KEYS[1], generation)
end
local found = find(generation)
if found[4] then
  redis.call('HSET', KEYS[2], 'keptUntil', found[4])
  redis.call('PEXPIRE', KEYS[2], text(found[4] - now))
end
local function reply(state, retryAfter) return {state, generation, found[1], found[2], found[3], retryAfter} end
if found[1] and found[3] > 0 and ARGV[4] ~= '1' then return reply('hit', 0) end
local token, leaseEndsAt = holder(generation)
if token then return reply('wait', leaseEndsAt - now) end
local coolDownEndsAt = redis.call('HGET', KEYS[4], 'until')
if coolDownEndsAt and tonumber(coolDownEndsAt) > now then return reply('cooling', tonumber(coolDownEndsAt) - now) end
redis.call('HSET', KEYS[3], 'token', ARGV[2], 'generation', generation, 'until', text(now + ARGV[3]))
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return reply('lease', 0)`

/** ARGV: token, generation, bytes, channel, ttl ms, keep ms, keep ms until the first read. Replies: a `Committed`. */
const COMMIT = `
local generation = redis.call('GET', KEYS[1])
if generation ~= ARGV[2] then
  if generation and hard(generation) == hard(ARGV[2]) then return 'outdated' end
  return 'outdated-hard'
end
local token = holder(generation)
if token and token ~= ARGV[1] then return 'lost' end
redis.call('DEL', KEYS[3], KEYS[4])
redis.call('HSET', KEYS[2], 'generation', generation, 'committedAt', text(now),
  'expiresAt', text(now + ARGV[5]), 'keptUntil', text(now + ARGV[7]), 'keptUntilIfRead', text(now + ARGV[6]), 'bytes', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
redis.call('PUBLISH', ARGV[4], 'committed ' .. KEYS[2])
return 'stored'`

/** ARGV: token, lease ms. Replies: 1 if the lease is still held, else 0. */
const RENEW = `
local generation = redis.call('GET', KEYS[1])
if not generation or holder(generation) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[3], 'until', text(now + ARGV[2]))
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return 1`

/** ARGV: token, first ms, longest ms. Replies: cool-down ms, bytes, age, ttl. */
const FAIL = `
local generation = redis.call('GET', KEYS[1])
if not generation then return {0, false, 0, 0} end
local found = find(generation)
if holder(generation) ~= ARGV[1] then return {0, found[1], found[2], found[3]} end
redis.call('DEL', KEYS[3])
local failures = 1
local forgetAt = redis.call('HGET', KEYS[4], 'forgetAt')
if forgetAt and tonumber(forgetAt) > now then failures = redis.call('HGET', KEYS[4], 'failures') + 1 end
local coolDown = math.min(ARGV[2] * 2 ^ (failures - 1), tonumber(ARGV[3]))
redis.call('HSET', KEYS[4], 'failures', failures, 'until', text(now + coolDown), 'forgetAt', text(now + coolDown + 2 * ARGV[3]))
redis.call('PEXPIRE', KEYS[4], text(coolDown + 2 * ARGV[3]))
return {coolDown, found[1], found[2], found[3]}`

/** ARGV: token. Replies: 1. */
const RELEASE = `
if redis.call('HGET', KEYS[3], 'token') == ARGV[1] then redis.call('DEL', KEYS[3]) end
return 1`

/**
 * KEYS: 1 generation, 2 cause, if there is one. ARGV: mode, nonce, another nonce, channel, for how long a cause is
 * remembered (ms). Replies: 1 if this call has ended the generation, else 0.
 */
const INVALIDATE = `
if KEYS[2] then
  local knownUntil = redis.call('GET', KEYS[2])
  if knownUntil and tonumber(knownUntil) > now then return 0 end
  redis.call('SET', KEYS[2], text(now + ARGV[5]))
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
local generation = redis.call('GET', KEYS[1])
local kept = ARGV[1] == 'soft' and generation and hard(generation) or ARGV[2]
local new = kept .. '.' .. ARGV[3]
redis.call('SET', KEYS[1], new)
redis.call('PUBLISH', ARGV[4], 'invalidated')
return 1`

/** The scripts of a store on Redis. */
export type Scripts = ReturnType<typeof createScripts>

/**
 * Creates the scripts of a store on Redis.
 * @param time Lua that sets `now`. Default: Redis' clock. Tests with a virtual clock pass their own.
 */
export function createScripts(time: string = REDIS_TIME) {
  const script = (body: string) => defineScript(time + SHARED + body)
  return {
    acquire: script(ACQUIRE),
    commit: script(COMMIT),
    renew: script(RENEW),
    fail: script(FAIL),
    release: script(RELEASE),
    invalidate: script(INVALIDATE),
  }
}
