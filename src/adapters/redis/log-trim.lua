-- Lets go of the changes of one part up to an offset, as far as every node has read them; and of some heads of conversations
-- that have been silent for long and are in the store as they are here.
--
-- KEYS   log (stream), meta (hash), heads (hash)
-- ARGV   epoch, offset, prefix of the names of the nodes' groups
-- gives  the offset up to which changes are gone
local SILENT, LOOKS = 3600000, 500
local log, meta, heads = KEYS[1], KEYS[2], KEYS[3]
local state = redis.call('HMGET', meta, 'epoch', 'head', 'trimmed', 'bytes', 'now', 'swept')
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
-- `b` of the first entry left, past what somebody else has put before it.
local trimmed_bytes = state[4]
for _, entry in ipairs(redis.call('XRANGE', log, '-', '+', 'COUNT', 16)) do
  local fields = entry[2]
  if fields[1] == 'b' and fields[3] == 'e' then
    trimmed_bytes = fields[2]
    break
  end
end

-- A seed that was asked for before is of no use after (log-append.lua).
local sweep = redis.call('HSCAN', heads, state[6] or 0, 'COUNT', LOOKS)
local silent, found = {}, sweep[2]
for index = 1, #found, 2 do
  local at, offset = string.match(found[index + 1], '^%d+ %d+ %d+ (%d+) (%d+)$')
  local is_silent = at and tonumber(at) < tonumber(state[5] or 0) - SILENT
  if is_silent and tonumber(offset) <= up_to then silent[#silent + 1] = found[index] end
end
for first = 1, #silent, 1000 do
  redis.call('HDEL', heads, unpack(silent, first, math.min(first + 999, #silent)))
end
if #silent > 0 then redis.call('HINCRBY', meta, 'evictions', 1) end
redis.call('HSET', meta, 'trimmed', up_to, 'trimmed_bytes', trimmed_bytes, 'swept', sweep[1])
return up_to
