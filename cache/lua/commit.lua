-- ARGV: token, generation, bytes, channel, ttl ms, keep ms, keep ms until the first read. Replies: a `Committed`.
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
-- The value is stored already: a user without the right to the channel must not fail here.
redis.pcall('PUBLISH', ARGV[4], 'committed ' .. KEYS[2])
return 'stored'
