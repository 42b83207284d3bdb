-- ARGV: token, lease ms. Replies: 1 if the lease is still held, else 0.
local generation = currentGeneration()
if not generation or holder(generation) ~= ARGV[1] then
  requireMaster()
  return 0
end
redis.call('HSET', KEYS[3], 'at', text(now), 'ms', ARGV[2])
redis.call('PEXPIRE', KEYS[3], ARGV[2])
return 1
