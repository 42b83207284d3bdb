-- KEYS: buffer, its name, restored buffer, its name, visitors of each view. ARGV: dedup ms, a new id; then for each view its
-- field, and how many visitors it has.
--
-- A buffer gets its id with its first view, and its batches are named after it (see NAME). A Redis that restarts from a
-- snapshot, or a replica that is promoted, may have a buffer whose views have been counted under that id. So a buffer of
-- another history gets no more views: it is put aside as the restored buffer, to be taken as it is.
local isReady = false
local function makeReady()
  isReady = true
  local known, current = redis.call('HGET', KEYS[2], 'history'), history()
  if known and known ~= current and redis.call('EXISTS', KEYS[1]) == 1 and redis.call('EXISTS', KEYS[3]) == 0 then
    redis.call('RENAME', KEYS[1], KEYS[3])
    redis.call('RENAME', KEYS[2], KEYS[4])
  end
  if redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HSET', KEYS[2], 'id', ARGV[2], 'history', current, 'parts', 0)
  end
end

local replies, visitor = {}, 4
for index = 3, #ARGV, 2 do
  local first, isRepeat = visitor + 1, false
  visitor = visitor + ARGV[index + 1]
  for other = first, visitor do
    local remaining = redis.call('PTTL', KEYS[other])
    isRepeat = isRepeat or remaining ~= -2
    -- The clock of Redis went back: a visitor is never remembered for longer than he was to be.
    if remaining > tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[other], ARGV[1]) end
  end
  if not isRepeat then
    if not isReady then makeReady() end
    redis.call('SET', KEYS[first], '', 'PX', ARGV[1])
    redis.call('HINCRBY', KEYS[1], ARGV[index], 1)
  end
  replies[#replies + 1] = isRepeat and 0 or 1
end
return replies
