-- KEYS: 1 generation, 2 cause, if there is one. ARGV: mode, nonce, another nonce, channel, for how long a cause is
-- remembered (ms). Replies: 1 if this call has ended the generation, else 0.
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
-- The generation has ended already: a user without the right to the channel must not fail here.
redis.pcall('PUBLISH', ARGV[4], 'invalidated')
return 1
