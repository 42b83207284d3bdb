-- KEYS: buffer, its name, the other buffer, ids of batches, batch, cursor, batches set aside. ARGV: id of the batch, as NAME has
-- returned it, the most batches, the most counts of a batch, for how long a batch is set aside (ms). Returns the number of counts
-- that are left, the number of batches set aside, their ids, and the ids of the batches to be counted.
--
-- Why it compares the id:
--
-- 1. Redis runs TAKE, and the connection breaks before the reply.
-- 2. Another process counts the batch and drops it.
-- 3. A view is added to the buffer.
-- 4. ioredis sends the same TAKE again.
--
-- Without the comparison the view would be in a batch whose id has been counted; without (2), it would be added to the counts
-- of the batch. The same holds when only a part of the buffer is taken.
--
-- HSCAN finds a part, from where the last part ended: from the beginning, each scan would step over the fields that were taken
-- before. The cursor is a hint: with any cursor the next part is found, and RENAME takes the rest. A part becomes a list,
-- because Redis compares each field of a new, small hash with all others: 3 times the time. The script deletes first and then
-- writes: a Redis that is full lets a script continue that has written, and this buffer may be what fills it.
local most, left = tonumber(ARGV[3]), redis.call('HLEN', KEYS[1])
local name = redis.call('HMGET', KEYS[2], 'id', 'parts')
local taken = 0
if name[1] and name[1] .. ':' .. name[2] == ARGV[1] and left > 0 and redis.call('SCARD', KEYS[4]) < tonumber(ARGV[2]) then
  if left <= most then
    redis.call('RENAME', KEYS[1], KEYS[5])
    redis.call('DEL', KEYS[2], KEYS[6])
    taken = left
  else
    local cursor, scans = redis.call('GET', KEYS[6]) or '0', 0
    repeat
      local scan = redis.call('HSCAN', KEYS[1], cursor, 'COUNT', most - taken)
      local found = scan[2]
      local numbers = math.min(#found / 2, most - taken)
      for first = 1, 2 * numbers, 1000 do
        local last = math.min(first + 999, 2 * numbers)
        local fields = {}
        for index = first, last, 2 do fields[#fields + 1] = found[index] end
        redis.call('HDEL', KEYS[1], unpack(fields))
        redis.call('RPUSH', KEYS[5], unpack(found, first, last))
      end
      if 2 * numbers == #found then cursor = scan[1] end
      taken = taken + numbers
      scans = scans + 1
    until taken == most or scans == 10
    redis.call('SET', KEYS[6], cursor)
    redis.call('HINCRBY', KEYS[2], 'parts', 1)
  end
end
if taken > 0 then redis.call('SADD', KEYS[4], ARGV[1]) end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- A batch that is due later than it can have been set aside for: the clock of Redis went back.
local latest = now + ARGV[4]
local aside = redis.call('ZRANGEBYSCORE', KEYS[7], '(' .. now, latest)
local replies = { left - taken + redis.call('HLEN', KEYS[3]), #aside }
local due = { redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', now), redis.call('ZRANGEBYSCORE', KEYS[7], '(' .. latest, '+inf') }
for _, ids in ipairs({ aside, redis.call('SMEMBERS', KEYS[4]), due[1], due[2] }) do
  for _, id in ipairs(ids) do replies[#replies + 1] = id end
end
return replies
