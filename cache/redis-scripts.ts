import { defineScript } from '../lib/redis-scripts-runner.ts'

/** Redis' own clock, in milliseconds: no process's clock is ever compared with another's. */
export const REDIS_TIME = `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`

/*
 * KEYS: 1 generation, 2 value, 3 lease, 4 cool-down; all in one slot.
 * Times are kept as moments ("until"), and compared here; expiry of keys only clears away what has run out.
 */
const SHARED = `
local function hard(generation) return string.match(generation, '^([^.]*)') end
local function text(number) return string.format('%.0f', number) end
-- {bytes or false, age, fresh for, lasts until}: the value, if it is of this hard generation and still kept; and until when it
-- is kept once it was asked for again, where that is longer, else false.
local function find(generation)
  local value = redis.call('HMGET', KEYS[2], 'generation', 'freshUntil', 'keptUntil', 'committedAt', 'bytes', 'lastsUntil')
  if not value[1] or hard(value[1]) ~= hard(generation) or tonumber(value[3]) <= now then return {false, 0, 0, false} end
  local freshFor = tonumber(value[2]) - now
  if value[1] ~= generation then freshFor = math.min(0, freshFor) end
  local lastsUntil = value[6] and tonumber(value[6]) > tonumber(value[3]) and value[6]
  return {value[5], now - tonumber(value[4]), freshFor, lastsUntil}
end
-- The token of whoever may load now, and until when.
local function holder(generation)
  local lease = redis.call('HMGET', KEYS[3], 'token', 'generation', 'until')
  if not lease[1] or lease[2] ~= generation or tonumber(lease[3]) <= now then return false, 0 end
  return lease[1], tonumber(lease[3])
end
`

/** ARGV: nonce, token, lease ms, force. Answers: state, generation, bytes, age, fresh for, retry after. */
const ACQUIRE = `
local generation = redis.call('GET', KEYS[1])
if not generation then
  -- Never seen, or lost: made anew, so that nothing from before is current.
  generation = ARGV[1] .. '.' .. ARGV[1]
  redis.call('SET', KEYS[1], generation)
end
local found = find(generation)
if found[4] then
  redis.call('HSET', KEYS[2], 'keptUntil', found[4])
  redis.call('PEXPIRE', KEYS[2], text(found[4] - now))
end
local function answer(state, retryAfter) return {state, generation, found[1], found[2], found[3], retryAfter} end
if found[1] and found[3] > 0 and ARGV[4] ~= '1' then return answer('hit', 0) end
local token, leasedUntil = holder(generation)
if token then return answer('wait', leasedUntil - now) end
local coolUntil = redis.call('HGET', KEYS[4], 'until')
if coolUntil and tonumber(coolUntil) > now then return answer('cooling', tonumber(coolUntil) - now) end
redis.call('HSET', KEYS[3], 'token', ARGV[2], 'generation', generation, 'until', text(now + ARGV[3]))
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return answer('lease', 0)`

/** ARGV: token, generation, bytes, channel, fresh ms, keep ms, keep ms until it is asked for again. */
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
  'freshUntil', text(now + ARGV[5]), 'keptUntil', text(now + ARGV[7]), 'lastsUntil', text(now + ARGV[6]), 'bytes', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[7])
redis.call('PUBLISH', ARGV[4], 'committed ' .. KEYS[2])
return 'stored'`

/** ARGV: token, lease ms. */
const RENEW = `
local generation = redis.call('GET', KEYS[1])
if not generation or holder(generation) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[3], 'until', text(now + ARGV[2]))
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return 1`

/** ARGV: token, first ms, longest ms. Answers: cool-down ms, bytes, age, fresh for. */
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

/** ARGV: token. */
const RELEASE = `
if redis.call('HGET', KEYS[3], 'token') == ARGV[1] then redis.call('DEL', KEYS[3]) end
return 1`

/** KEYS: 1 generation, 2 cause, if there is one. ARGV: mode, nonce, another nonce, channel, for how long a cause is known. */
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

export type Scripts = ReturnType<typeof createScripts>

/** @param time Lua that sets \`now\`: Redis' clock, but for tests that move time themselves. */
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
