-- ARGV: token, generation, name of the value that the lease replaces, bytes, channel, ttl ms, keep ms, keep ms until the first
-- read, load ms, for how long the pace is remembered (ms), epoch of the lease. Of an entry that counts to the bound also: its
-- name, its bytes in memory, the bound. Replies: a `Committed`; or `stored` and the entries to drop: see index.lua.
-- Also of a load that comes too late: changes wait for loads as slow as this one (invalidate.lua).
local slowest = slowestLoad(KEYS[5], ARGV[10])
if 2 * ARGV[9] >= slowest then
  redis.pcall('HSET', KEYS[5], 'loadMs', math.max(ARGV[9], slowest), 'loadUntil', text(now + ARGV[10]))
  redis.call('PEXPIRE', KEYS[5], ARGV[10])
end
local generation = currentGeneration()
if generation ~= ARGV[2] then
  if generation and hard(generation) == hard(ARGV[2]) then return 'outdated' end
  -- Redis has lost the generation of the lease, so it is not known whether an invalidation has ended it.
  if not generation or string.sub(generation, 1, 1) == '+' then return 'forgotten' end
  return 'outdated-hard'
end
if epoch() ~= ARGV[11] then return 'outdated-hard' end
local found = find(generation)
-- The same request, sent twice because the first reply was lost.
if found[4] == ARGV[1] then return 'stored' end
local token = holder(generation)
if token and token ~= ARGV[1] then return 'lost' end
-- Another holder took the lease over, and has committed a newer value.
if found[5] == generation and found[4] ~= ARGV[3] then return 'lost' end
redis.call('DEL', KEYS[3], KEYS[4])
redis.call('HSET', KEYS[2], 'name', ARGV[1], 'generation', generation, 'at', text(now), 'ttl', ARGV[6], 'keep', ARGV[8],
  'keepIfRead', ARGV[7], 'bytes', ARGV[4])
redis.call('PEXPIRE', KEYS[2], ARGV[8])
-- The value is stored already: a user without the right to the channel must not fail here.
redis.pcall('PUBLISH', ARGV[5], 'committed ' .. KEYS[2])
if not ARGV[12] then return 'stored' end
local drop = countEntry(ARGV[12], tonumber(ARGV[13]), hard(generation), now + ARGV[8], ARGV[7], tonumber(ARGV[14]))
table.insert(drop, 1, 'stored')
return drop
