-- Begins an epoch of one part, unless it has begun already: of two nodes that recover it the slower one changes nothing.
-- Receipts of keys are named after their epoch, so those of before are out of sight.
--
-- KEYS   log (stream), meta (hash), heads (hash)
-- ARGV   epoch, the recorded one before it, offset the store ends at, ms during which every key is looked up
local log, meta, heads = KEYS[1], KEYS[2], KEYS[3]
local state = redis.call('HMGET', meta, 'epoch', 'head')
local epoch, head = tonumber(state[1] or 0), tonumber(state[2] or 0)
if epoch >= tonumber(ARGV[1]) then return 0 end

local stored = tonumber(ARGV[3])
-- What it holds goes on where the store ends; else the store has all that is left.
if epoch == 0 or epoch ~= tonumber(ARGV[2]) or head < stored then
  redis.call('DEL', log, meta, heads)
  redis.call('HSET', meta, 'head', stored, 'trimmed', stored, 'bytes', 0, 'trimmed_bytes', 0)
end
local time = redis.call('TIME')
redis.call('HSET', meta, 'epoch', ARGV[1], 'long_until', time[1] * 1000 + tonumber(ARGV[4]))
return 1
