-- Lua that sets `now` to Redis' own clock (ms), so that the clocks of processes are never compared.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
