-- KEYS: 1 generation, 2 and 3 the index (index.lua), then the entries. ARGV: the name and the place of each entry. An entry
-- that was stored or read since it was chosen has another place, and stays. Replies: 1.
for i = 4, #KEYS do
  local name, place = ARGV[2 * i - 7], ARGV[2 * i - 6]
  if redis.call('ZSCORE', KEYS[2], name) == place then
    redis.call('DEL', KEYS[i])
    redis.call('ZREM', KEYS[2], name)
    local bytes = redis.call('HGET', KEYS[3], name)
    -- Redis may have evicted the bytes of all.
    if bytes then
      redis.call('HINCRBY', KEYS[3], ':total', text(-bytes))
      redis.call('HDEL', KEYS[3], name)
    end
  end
end
return 1
