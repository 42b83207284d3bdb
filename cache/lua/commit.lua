-- ARGV: token, generation, bytes, channel, ttl ms, keep ms, keep ms until the first read, load ms, for how long the pace is
-- remembered (ms). Replies: a `Committed`.
-- Also of a load that comes too late: changes wait for loads as slow as this one (invalidate.lua).
local slowest = slowestLoad(KEYS[5], ARGV[9])
if 2 * ARGV[8] >= slowest then
  redis.pcall('HSET', KEYS[5], 'loadMs', math.max(ARGV[8], slowest), 'loadUntil', text(now + ARGV[9]))
  redis.call('PEXPIRE', KEYS[5], ARGV[9])
end
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
return 'stored'
