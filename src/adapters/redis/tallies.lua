-- KEYS   the tally
-- ARGV   its window in milliseconds
-- gives  how often it was counted since its window began, and the milliseconds left of it
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], ARGV[1]) end
return { count, math.max(1, redis.call('PTTL', KEYS[1])) }
