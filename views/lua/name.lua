-- KEYS: buffer, its name, restored buffer, its name. ARGV: a new id, for a buffer that has none. Returns 1 if the
-- restored buffer is taken next (it goes first), else 0, and the id of the next batch, '' if both are
-- empty: the id of the buffer, and how many parts were taken of it.
-- So a batch that is taken once more, after Redis has restarted from a snapshot, has the same id.
local isRestored = redis.call('EXISTS', KEYS[3]) == 1
local buffer, name = KEYS[isRestored and 3 or 1], KEYS[isRestored and 4 or 2]
if redis.call('EXISTS', buffer) == 0 then return { 0, '' } end
if redis.call('EXISTS', name) == 0 then redis.call('HSET', name, 'id', ARGV[1], 'history', '', 'parts', 0) end
return { isRestored and 1 or 0, redis.call('HGET', name, 'id') .. ':' .. redis.call('HGET', name, 'parts') }
