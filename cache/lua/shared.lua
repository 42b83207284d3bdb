-- KEYS: 1 generation, 2 value, 3 lease, 4 cool-down, 5 pace, 6 epochs, 7 and 8 the index; all in one slot.
-- A record has the moment at which it was written, `at`, and durations from then. PEXPIRE only removes keys whose durations
-- have passed.
local function text(number) return string.format('%.0f', number) end

-- Milliseconds since a record was written. The clock of Redis can go back: an operator sets it, or a replica is promoted
-- whose clock is behind. Then a record seems to be from the future, and it counts as written now: what remains of anything
-- is never more than was given.
local function elapsed(key, at)
  if tonumber(at) <= now then return now - at, false end
  redis.call('HSET', key, 'at', text(now))
  return 0, true
end

-- A generation is hard.soft.history. Returns the current one; false if there is none, or if it is of another history: then
-- invalidations may be missing.
local function currentGeneration()
  local generation = redis.call('GET', KEYS[1])
  return generation and string.match(generation, '([^.]*)$') == history() and generation
end

-- Fails on a server that cannot write: a replica is not the store. PERSIST changes nothing here. It comes after the other
-- writes, because a server whose memory is full accepts any write of a script that has written before.
local function requireMaster() redis.call('PERSIST', KEYS[1]) end

-- The epoch of this entry: the name of its last invalidation alone, or of the last time when epochs were forgotten; else ''.
local function epoch()
  local epochs = redis.call('HMGET', KEYS[6], KEYS[2], '')
  return epochs[1] or epochs[2] or ''
end

local function hard(generation) return string.match(generation, '^([^.]*)') end

-- The value, if it is of this hard generation and still kept: {bytes or false, age, ttl, name, generation}. And how long the
-- first read keeps it, counted from `at`, if that is longer; else false.
local function find(generation)
  local value = redis.call('HMGET', KEYS[2], 'generation', 'at', 'ttl', 'keep', 'bytes', 'keepIfRead', 'name')
  if not value[3] or hard(value[1]) ~= hard(generation) then return {false, 0, 0, ''}, false end
  local age, isFromFuture = elapsed(KEYS[2], value[2])
  if age >= tonumber(value[4]) then return {false, 0, 0, ''}, false end
  -- Its age is not known: it is stale.
  if isFromFuture then
    value[3] = 0
    redis.call('HSET', KEYS[2], 'ttl', 0)
  end
  local ttl = value[3] - age
  if value[1] ~= generation then ttl = math.min(0, ttl) end
  local keepIfRead = tonumber(value[6]) > tonumber(value[4]) and value[6]
  return {value[5], age, ttl, value[7], value[1]}, keepIfRead
end

-- Returns the token of the holder of the lease, or false; and how long the lease is held.
local function holder(generation)
  local lease = redis.call('HMGET', KEYS[3], 'token', 'generation', 'at', 'ms')
  if lease[2] ~= generation then return false, 0 end
  local remaining = lease[4] - elapsed(KEYS[3], lease[3])
  if remaining <= 0 then return false, 0 end
  return lease[1], remaining
end
-- Returns how long the slowest load of late took (ms), or 0. `knownFor`: for how long the pace is remembered (ms).
local function slowestLoad(pace, knownFor)
  local load = redis.pcall('HMGET', pace, 'loadMs', 'loadUntil')
  local left = tonumber(load[2] or 0) - now
  return left > 0 and left <= tonumber(knownFor) and tonumber(load[1]) or 0
end
