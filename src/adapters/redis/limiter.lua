-- Token buckets, one number a key: the moment its bucket is full again (the generic cell rate algorithm), in microseconds of
-- this server's time: nodes need not agree on what time it is.
--
-- KEYS   the bucket of each item; one that is full is none and expires
-- ARGV   microseconds a token takes to come, microseconds until an empty bucket is full, then the cost of each item
-- gives  for each item 0 when granted, else the milliseconds until it would be
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local token, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local waits = {}
for index, key in ipairs(KEYS) do
  local full = math.max(tonumber(redis.call('GET', key) or now), now)
  -- No bucket is emptier than empty: a server whose clock was set back keeps nobody waiting for longer.
  local after = math.min(full, now + burst) + ARGV[index + 2] * token
  local wait = after - now - burst
  -- A microsecond is the error of these numbers, and no more than that is given away.
  if wait > 1 then
    waits[index] = math.ceil(wait / 1000)
  else
    waits[index] = 0
    if after > now then
      redis.call('SET', key, string.format('%.17g', after), 'PX', math.ceil((after - now) / 1000))
    end
  end
end
return waits
