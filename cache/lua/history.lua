-- The history that the data of this server belongs to. It changes when Redis restarts, from a snapshot that may be old, and
-- when a replica is promoted, which may have missed the last writes. '' if the user may not read it.
local function history()
  local info = redis.pcall('INFO', 'replication')
  return type(info) == 'string' and string.match(info, 'master_replid:(%w+)') or ''
end
