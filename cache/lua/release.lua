-- ARGV: token. Replies: 1.
if redis.call('HGET', KEYS[3], 'token') == ARGV[1] then redis.call('DEL', KEYS[3]) end
return 1
