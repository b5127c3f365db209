-- Lets go of the changes of one part up to an offset, as far as every node has read them.
--
-- KEYS   log (stream), meta (hash)
-- ARGV   epoch, offset, prefix of the names of the nodes' groups
-- gives  the offset up to which changes are gone
local log, meta = KEYS[1], KEYS[2]
local state = redis.call('HMGET', meta, 'epoch', 'head', 'trimmed', 'bytes')
local trimmed = tonumber(state[3] or 0)
if state[1] ~= ARGV[1] or redis.call('EXISTS', log) == 0 then return trimmed end

local up_to = math.min(tonumber(ARGV[2]), tonumber(state[2]))
for _, group in ipairs(redis.call('XINFO', 'GROUPS', log)) do
  local fields = {}
  for index = 1, #group, 2 do fields[group[index]] = group[index + 1] end
  if string.sub(fields['name'], 1, #ARGV[3]) == ARGV[3] then
    up_to = math.min(up_to, tonumber(string.match(fields['last-delivered-id'], '^%d+')))
  end
end
if up_to <= trimmed then return trimmed end

redis.call('XTRIM', log, 'MINID', (up_to + 1) .. '-0')
local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
redis.call('HSET', meta, 'trimmed', up_to, 'trimmed_bytes', first and first[2][2] or state[4])
return up_to
