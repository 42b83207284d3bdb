-- ARGV: nonce, token, lease ms, force, name. Replies: state, generation, bytes, age, ttl, retry after (ms), name of the
-- value, epoch.
local generation = currentGeneration()
if not generation then
  -- No older value is current in a new generation. The sign tells that no invalidation has made it: see commit.lua.
  generation = '+' .. ARGV[1] .. '.' .. ARGV[1] .. '.' .. history()
  redis.call('SET', KEYS[1], generation)
end
local found, keepIfRead = find(generation)
if keepIfRead then
  -- A server whose memory is full refuses this, and still serves the value.
  redis.pcall('HSET', KEYS[2], 'keep', keepIfRead)
  redis.call('PEXPIRE', KEYS[2], text(keepIfRead - found[2]))
  moveEntry(ARGV[5], now + keepIfRead - found[2])
end
local function reply(state, retryAfter)
  requireMaster()
  return {state, generation, found[1], found[2], found[3], retryAfter, found[4], epoch()}
end
if found[1] and found[3] > 0 and ARGV[4] ~= '1' then return reply('hit', 0) end
local token, remaining = holder(generation)
-- The same request, sent twice because the first reply was lost.
if token == ARGV[2] then return reply('lease', 0) end
if token then return reply('wait', remaining) end
local coolDown = redis.call('HMGET', KEYS[4], 'at', 'ms')
if coolDown[2] then
  remaining = coolDown[2] - elapsed(KEYS[4], coolDown[1])
  if remaining > 0 then return reply('cooling', remaining) end
end
redis.call('HSET', KEYS[3], 'token', ARGV[2], 'generation', generation, 'at', text(now), 'ms', ARGV[3])
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return reply('lease', 0)
