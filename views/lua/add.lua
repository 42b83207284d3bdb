-- KEYS: buffer, its name, restored buffer, its name; then for each view its visitors, the readers of its network, and the views
-- of its client. ARGV: dedup ms, a new id, the window of clients (ms); then for each view its field, how many visitors it has, its
-- address ('': it has no readers of a network among the keys), the most readers of the address and of the network, and the most
-- views of its client (0: it has no client among the keys). Returns for each view 1: counted, 0: a repeat, 2: the limit of readers
-- is reached, less than 0: that of its client is, for this time (ms).
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

-- Sets the time to live if a key has none, or a longer one: the clock of Redis went back. Returns what remains.
local function limitLife(key, remaining, longest)
  if remaining >= 0 and remaining <= tonumber(longest) then return remaining end
  redis.call('PEXPIRE', key, longest)
  return tonumber(longest)
end

-- The window of a network begins with its first reader of the post.
local function isLimited(network, address, maxOfAddress, maxOfNetwork)
  local counts = redis.call('HMGET', network, 'all', address)
  local isOver = tonumber(counts[1] or 0) >= tonumber(maxOfNetwork) or tonumber(counts[2] or 0) >= tonumber(maxOfAddress)
  if isOver then limitLife(network, redis.call('PTTL', network), ARGV[1]) end
  return isOver
end

-- Counts a view of a client. Returns for how long no more of its views count, 0: this one does. A Redis that is full counts none.
local function countOfClient(client, most)
  local views = redis.pcall('HINCRBY', client, 'views', 1)
  if type(views) ~= 'number' then return 0 end
  local remaining = limitLife(client, redis.call('PTTL', client), ARGV[3])
  return views > tonumber(most) and math.max(1, remaining) or 0
end

local replies, key = {}, 4
for index = 4, #ARGV, 6 do
  local first, address, reply = key + 1, ARGV[index + 2], 1
  key = key + ARGV[index + 1]
  for other = first, key do
    local remaining = redis.call('PTTL', KEYS[other])
    if remaining ~= -2 then
      reply = 0
      limitLife(KEYS[other], remaining, ARGV[1])
    end
  end
  if address ~= '' then
    key = key + 1
    if reply == 1 and isLimited(KEYS[key], address, ARGV[index + 3], ARGV[index + 4]) then reply = 2 end
  end
  local readers = key
  if ARGV[index + 5] ~= '0' then
    key = key + 1
    local refusedFor = countOfClient(KEYS[key], ARGV[index + 5])
    if refusedFor > 0 then reply = -refusedFor end
  end
  if reply == 1 then
    if not isReady then makeReady() end
    redis.call('SET', KEYS[first], '')
    -- Not by SET: Redis 7.0 reuses the object of an earlier script as the value, and the key begins as idle as that. LRU evicts it.
    redis.call('PEXPIRE', KEYS[first], ARGV[1])
    redis.call('HINCRBY', KEYS[1], ARGV[index], 1)
    if address ~= '' then
      redis.call('HINCRBY', KEYS[readers], address, 1)
      if redis.call('HINCRBY', KEYS[readers], 'all', 1) == 1 then redis.call('PEXPIRE', KEYS[readers], ARGV[1]) end
    end
  end
  replies[#replies + 1] = reply
end
return replies
