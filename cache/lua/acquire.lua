-- ARGV: nonce, token, lease ms, force. Replies: state, generation, bytes, age, ttl, retry after (ms).
local generation = redis.call('GET', KEYS[1])
if not generation then
  -- The key was never written, or Redis has lost it: with a new generation no older value is current.
  generation = ARGV[1] .. '.' .. ARGV[1]
  redis.call('SET', KEYS[1], generation)
end
local found = find(generation)
if found[4] then
  redis.call('HSET', KEYS[2], 'keptUntil', found[4])
  redis.call('PEXPIRE', KEYS[2], text(found[4] - now))
end
local function reply(state, retryAfter) return {state, generation, found[1], found[2], found[3], retryAfter} end
if found[1] and found[3] > 0 and ARGV[4] ~= '1' then return reply('hit', 0) end
local token, leaseEndsAt = holder(generation)
if token then return reply('wait', leaseEndsAt - now) end
local coolDownEndsAt = redis.call('HGET', KEYS[4], 'until')
if coolDownEndsAt and tonumber(coolDownEndsAt) > now then return reply('cooling', tonumber(coolDownEndsAt) - now) end
redis.call('HSET', KEYS[3], 'token', ARGV[2], 'generation', generation, 'until', text(now + ARGV[3]))
redis.call('PEXPIRE', KEYS[3], ARGV[3])
return reply('lease', 0)
