-- ARGV: token, first ms, longest ms. Replies: cool-down ms, bytes, age, ttl.
local generation = currentGeneration()
if not generation then return {0, false, 0, 0} end
local found = find(generation)
if holder(generation) ~= ARGV[1] then return {0, found[1], found[2], found[3]} end
redis.call('DEL', KEYS[3])
local failures = 1
local last = redis.call('HMGET', KEYS[4], 'at', 'forget', 'failures')
if last[2] and elapsed(KEYS[4], last[1]) < tonumber(last[2]) then failures = last[3] + 1 end
local coolDown = math.min(ARGV[2] * 2 ^ (failures - 1), tonumber(ARGV[3]))
local forget = text(coolDown + 2 * ARGV[3])
redis.call('HSET', KEYS[4], 'failures', failures, 'at', text(now), 'ms', text(coolDown), 'forget', forget)
redis.call('PEXPIRE', KEYS[4], forget)
return {coolDown, found[1], found[2], found[3]}
