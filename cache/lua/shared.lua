-- KEYS: 1 generation, 2 value, 3 lease, 4 cool-down, 5 pace; all in one slot.
-- Times are stored as moments ("until", "at") and compared here. PEXPIRE only removes keys whose moment has passed.
local function hard(generation) return string.match(generation, '^([^.]*)') end
local function text(number) return string.format('%.0f', number) end
-- Returns {bytes or false, age, ttl, keptUntilIfRead}: the value, if it is of this hard generation and still kept; and the
-- moment until which the first read keeps it, else false. A value without expiresAt was written by an older version.
local function find(generation)
  local value = redis.call('HMGET', KEYS[2], 'generation', 'expiresAt', 'keptUntil', 'committedAt', 'bytes', 'keptUntilIfRead')
  if not value[2] or hard(value[1]) ~= hard(generation) or tonumber(value[3]) <= now then return {false, 0, 0, false} end
  local ttl = tonumber(value[2]) - now
  if value[1] ~= generation then ttl = math.min(0, ttl) end
  local keptUntilIfRead = value[6] and tonumber(value[6]) > tonumber(value[3]) and value[6]
  return {value[5], now - tonumber(value[4]), ttl, keptUntilIfRead}
end
-- Returns the token of the holder of the lease, or false, and until when the lease is held.
local function holder(generation)
  local lease = redis.call('HMGET', KEYS[3], 'token', 'generation', 'until')
  if not lease[1] or lease[2] ~= generation or tonumber(lease[3]) <= now then return false, 0 end
  return lease[1], tonumber(lease[3])
end
-- Returns how long the slowest load of late took (ms), or 0. `knownFor`: for how long the pace is remembered (ms).
local function slowestLoad(pace, knownFor)
  local load = redis.pcall('HMGET', pace, 'loadMs', 'loadUntil')
  local left = tonumber(load[2] or 0) - now
  return left > 0 and left <= tonumber(knownFor) and tonumber(load[1]) or 0
end
