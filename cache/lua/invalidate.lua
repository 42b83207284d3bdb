-- KEYS: 1 generation, 2 pace, 3 cause, if there is one. ARGV: mode, nonce, another nonce, channel, for how long a cause and
-- the pace are remembered (ms). For a change of the data also: the ends that its caller knows of, or '', the shortest and
-- the longest pause (ms), the pause in loads. Replies: state, pause (ms), ends. See `Store.invalidateForChange`.
-- First: a server whose memory is full accepts any write of a script that has written before.
requireMaster()
local generation = currentGeneration()
local known = redis.pcall('HMGET', KEYS[2], ARGV[1], ARGV[1] .. 'At')
local ends, endedAt = tonumber(known[1] or 0), tonumber(known[2] or '-inf')
local pause, left = 0, 0
-- The clock of Redis may go back: what is longer ahead than it was set is over.
if ARGV[7] then
  pause = math.ceil(math.min(math.max(ARGV[8], ARGV[10] * slowestLoad(KEYS[2], ARGV[6])), tonumber(ARGV[9])))
  if endedAt <= now then left = math.max(0, endedAt + pause - now) end
end
-- Without a generation no value is current, so that ending it costs nothing.
if KEYS[3] and generation then
  local knownFor = tonumber(redis.call('GET', KEYS[3]) or 0) - now
  if knownFor > 0 and knownFor <= tonumber(ARGV[5]) then return {'known', left, ends} end
end
if ARGV[7] and generation then
  if ARGV[7] ~= '' and ends > tonumber(ARGV[7]) then return {'known', left, ends} end
  if left > 0 then return {'paced', left, ends} end
end
if KEYS[3] then
  redis.call('SET', KEYS[3], text(now + ARGV[5]))
  redis.call('PEXPIRE', KEYS[3], ARGV[5])
end
local kept = ARGV[1] == 'soft' and generation and hard(generation) or ARGV[2]
redis.call('SET', KEYS[1], kept .. '.' .. ARGV[3] .. '.' .. history())
-- A hard end is also a soft one. A pace of a wrong type is left to expire.
for _, mode in ipairs(ARGV[1] == 'hard' and {'hard', 'soft'} or {'soft'}) do
  redis.pcall('HINCRBY', KEYS[2], mode, 1)
  if ARGV[7] then redis.pcall('HSET', KEYS[2], mode .. 'At', text(now)) end
end
redis.call('PEXPIRE', KEYS[2], ARGV[6])
-- The generation has ended already: a user without the right to the channel must not fail here.
redis.pcall('PUBLISH', ARGV[4], 'invalidated')
return {'ended', pause, ends + 1}
