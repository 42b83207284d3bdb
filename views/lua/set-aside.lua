-- KEYS: ids of batches, batches set aside, batch. ARGV: id, ms until the retry, the most batches set aside.
if redis.call('EXISTS', KEYS[3]) == 0 then return 1 end
local isAside = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not isAside and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[3]) then return 0 end
local now = redis.call('TIME')
redis.call('SREM', KEYS[1], ARGV[1])
redis.call('ZADD', KEYS[2], now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[2], ARGV[1])
return 1
