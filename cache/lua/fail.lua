-- ARGV: token, first ms, longest ms. Replies: cool-down ms, bytes, age, ttl.
local generation = redis.call('GET', KEYS[1])
if not generation then return {0, false, 0, 0} end
local found = find(generation)
if holder(generation) ~= ARGV[1] then return {0, found[1], found[2], found[3]} end
redis.call('DEL', KEYS[3])
local failures = 1
local forgetAt = redis.call('HGET', KEYS[4], 'forgetAt')
if forgetAt and tonumber(forgetAt) > now then failures = redis.call('HGET', KEYS[4], 'failures') + 1 end
local coolDown = math.min(ARGV[2] * 2 ^ (failures - 1), tonumber(ARGV[3]))
redis.call('HSET', KEYS[4], 'failures', failures, 'until', text(now + coolDown), 'forgetAt', text(now + coolDown + 2 * ARGV[3]))
redis.call('PEXPIRE', KEYS[4], text(coolDown + 2 * ARGV[3]))
return {coolDown, found[1], found[2], found[3]}
