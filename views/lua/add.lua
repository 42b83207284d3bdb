-- KEYS: buffer, visitors of each view. ARGV: dedup ms; then for each view its field, and how many visitors it has.
local replies, visitor = {}, 2
for index = 2, #ARGV, 2 do
  local first, isRepeat = visitor, false
  visitor = visitor + ARGV[index + 1]
  for other = first, visitor - 1 do
    isRepeat = isRepeat or redis.call('EXISTS', KEYS[other]) == 1
  end
  if not isRepeat then
    redis.call('SET', KEYS[first], '', 'PX', ARGV[1])
    redis.call('HINCRBY', KEYS[1], ARGV[index], 1)
  end
  replies[#replies + 1] = isRepeat and 0 or 1
end
return replies
