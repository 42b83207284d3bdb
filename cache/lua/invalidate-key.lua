-- ARGV: nonce, how many epochs are kept, channel. Replies: 1.
-- First: a server whose memory is full accepts any write of a script that has written before.
requireMaster()
if redis.call('HLEN', KEYS[6]) >= tonumber(ARGV[2]) then
  -- The epochs of all entries change: loads of this moment are repeated.
  redis.call('DEL', KEYS[6])
  redis.call('HSET', KEYS[6], '', ARGV[1])
end
redis.call('HSET', KEYS[6], KEYS[2], ARGV[1])
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4])
-- Waiters ask again. A user without the right to the channel must not fail here.
redis.pcall('PUBLISH', ARGV[3], 'committed ' .. KEYS[2])
return 1
