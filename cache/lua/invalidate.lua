-- KEYS: 1 generation, 2 cause, if there is one. ARGV: mode, nonce, another nonce, channel, for how long a cause is
-- remembered (ms). Replies: 1 if this call has ended the generation, else 0.
local old = currentGeneration()
if KEYS[2] and old then
  local remaining = (redis.call('GET', KEYS[2]) or 0) - now
  -- A cause from the future: the clock of Redis went back. It counts as not known.
  if remaining > 0 and remaining <= tonumber(ARGV[5]) then return 0 end
end
local kept = ARGV[1] == 'soft' and old and hard(old) or ARGV[2]
-- A server whose memory is full refuses SET, but not DEL: without a generation no value is current.
local reply = redis.pcall('SET', KEYS[1], kept .. '.' .. ARGV[3] .. '.' .. history())
if reply.err then
  if not string.match(reply.err, 'OOM') then return reply end
  redis.call('DEL', KEYS[1])
end
if KEYS[2] and not reply.err then redis.call('SET', KEYS[2], text(now + ARGV[5]), 'PX', ARGV[5]) end
-- The generation has ended already: a user without the right to the channel must not fail here.
redis.pcall('PUBLISH', ARGV[4], 'invalidated')
return 1
