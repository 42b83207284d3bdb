-- The index of the entries that any client can request: KEYS[7] has their names, in the order in which they are dropped;
-- KEYS[8] has the bytes of each, their sum, and the hard generation of the last commit.
-- The place of an entry is the time at which it ends: an entry that was read once ends soon, so it is dropped first. With
-- each hard generation a new turn begins: entries of earlier turns come before all others.
local TURN = 1e10
-- The most entries that a commit drops, and the length of two for each in its reply. A commit adds one, so that the entries before a
-- hard invalidation, which may be all, are gone after a two hundredth as many commits.
local MOST_DROPPED = 2 * 200

-- Counts an entry that was just stored. Returns the entries to drop, each as a name and a place: those that have ended, and
-- as many others as the bound on all bytes demands.
local function countEntry(name, bytes, hardGeneration, endsAt, forgetAfter, maxBytes)
  -- Redis may have evicted one of the two.
  if redis.call('EXISTS', KEYS[7], KEYS[8]) < 2 then redis.call('DEL', KEYS[7], KEYS[8]) end
  local known = redis.call('HMGET', KEYS[8], ':hard', ':turn', ':total', name)
  local turn = tonumber(known[2] or 0) + (known[1] == hardGeneration and 0 or 1)
  local total = (known[3] or 0) + bytes - (known[4] or 0)
  redis.call('HSET', KEYS[8], ':hard', hardGeneration, ':turn', turn, ':total', text(total), name, text(bytes))
  redis.call('ZADD', KEYS[7], text(turn * TURN + endsAt / 1000), name)
  redis.call('PEXPIRE', KEYS[7], forgetAfter)
  redis.call('PEXPIRE', KEYS[8], forgetAfter)
  local drop, skipped = {}, 0
  while true do
    local members = redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', '+inf', 'WITHSCORES', 'LIMIT', skipped, 10)
    for i = 1, #members, 2 do
      local isKept = total <= maxBytes and tonumber(members[i + 1]) > turn * TURN + now / 1000
      if isKept or #drop >= MOST_DROPPED then return drop end
      if members[i] ~= name then
        drop[#drop + 1], drop[#drop + 2] = members[i], members[i + 1]
        total = total - (redis.call('HGET', KEYS[8], members[i]) or 0)
      end
    end
    if #members == 0 then return drop end
    skipped = skipped + 10
  end
end

-- An entry was read, and ends later. A server whose memory is full refuses this, and still serves the value.
local function moveEntry(name, endsAt)
  local place = redis.call('ZSCORE', KEYS[7], name)
  if place then redis.pcall('ZADD', KEYS[7], text(math.floor(place / TURN) * TURN + endsAt / 1000), name) end
end
