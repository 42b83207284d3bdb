-- KEYS: epoch, slugs. ARGV: 1: end the epoch, else 0; a new epoch. Returns the epoch, and for each slug the id of its post ('': it is
-- not known) and for how long that is valid (ms).
local epoch = ARGV[1] == '0' and redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[2]
  redis.call('SET', KEYS[1], epoch)
end
local replies = { epoch }
for index = 2, #KEYS do
  local value = redis.call('GET', KEYS[index])
  local isKnown = value and string.sub(value, 1, #epoch + 1) == epoch .. ' '
  replies[#replies + 1] = isKnown and string.sub(value, #epoch + 2) or ''
  replies[#replies + 1] = redis.call('PTTL', KEYS[index])
end
return replies
