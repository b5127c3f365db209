-- Takes entries out of a part's stream that the append script has not put there: its own have an offset for an id, and none
-- is above the head. They go to `dead`, for people to look at; then the stream takes the log's next entry again.
--
-- KEYS   log (stream), meta (hash), dead (stream)
-- ARGV   offset after which to look, entries to look at, entries `dead` may hold
-- gives  how many there were
local log, meta, dead = KEYS[1], KEYS[2], KEYS[3]
local HIGHEST = '-18446744073709551615'
local head = tonumber(redis.call('HGET', meta, 'head') or 0)
if redis.call('EXISTS', log) == 0 then return 0 end

local count = 0
for _, entry in ipairs(redis.call('XRANGE', log, ARGV[1] .. '-1', '+', 'COUNT', ARGV[2])) do
  local id, fields = entry[1], entry[2]
  local offset, sub = string.match(id, '^(%d+)-(%d+)$')
  if sub ~= '0' or tonumber(offset) > head then
    local text = table.concat(fields, ' ', 1, math.min(#fields, 64))
    redis.call('XADD', dead, 'MAXLEN', '~', ARGV[3], '*', 'reason', 'not of the log', 'id', id, 'w', text)
    redis.call('XDEL', log, id)
    count = count + 1
  end
end
local top = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
if not top or tonumber(string.match(top[1], '^%d+')) <= head then redis.call('XSETID', log, head .. HIGHEST) end
return count
