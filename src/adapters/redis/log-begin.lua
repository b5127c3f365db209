-- Begins an epoch of one part, unless it has begun already: of two nodes that recover it the slower one changes nothing, nor
-- does one that has lost its lock. Receipts of keys are named after their epoch, so those of before are out of sight.
--
-- KEYS   log (stream), meta (hash), heads (hash), ahead (hash), lock, aside (stream)
-- ARGV   the lock's token, id of the log, epoch, the epoch whose changes it goes on after (0 = none is known), offset the
--        store ends at, latest time of a key in the store, ms during which every key is looked up, now in ms ('' = this server's)
-- gives  1 begun, 0 the lock is somebody else's
local WINDOW, LONGEST, KEEP_ASIDE = 120000, 86400000, 604800
local log, meta, heads, ahead, lock, aside = unpack(KEYS)
local token, id, epoch, after, stored = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
if redis.call('GET', lock) ~= token then return 0 end

local state = redis.call('HMGET', meta, 'log', 'epoch', 'head', 'trimmed', 'now')
local kept, head, trimmed = tonumber(state[2] or 0), tonumber(state[3] or 0), tonumber(state[4] or 0)
if state[1] == id and kept >= epoch then return 1 end

-- Else it goes on where the store ends: what there is follows on nothing, or the store has it all.
local goes_on = state[1] == id and kept > 0 and kept == after and trimmed <= stored and stored <= head
if not goes_on then
  if redis.call('EXISTS', log) == 1 then
    redis.call('RENAME', log, aside)
    redis.call('EXPIRE', aside, KEEP_ASIDE)
  end
  redis.call('DEL', meta, heads, ahead)
  redis.call('HSET', meta, 'log', id, 'head', stored, 'trimmed', stored, 'bytes', 0, 'trimmed_bytes', 0)
end

-- As the append script tells the time, which must not go back with a clock.
local time = redis.call('TIME')
local now = tonumber(ARGV[8]) or math.max(time[1] * 1000 + math.floor(time[2] / 1000), tonumber(state[5] or 0))
-- A stored key of a time to come counts as fresh when that time is here, and nothing here tells of it.
local until_known = math.min(tonumber(ARGV[6]) + WINDOW, now + LONGEST)
local long_until = ARGV[7] == '0' and now or math.max(now + tonumber(ARGV[7]), until_known)
redis.call('HSET', meta, 'epoch', epoch, 'now', now, 'begun', now, 'long_until', long_until)
return 1
