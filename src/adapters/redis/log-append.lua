-- Appends a batch to one part of the log: key, head, guard, number, wire text, one stream entry. Runs as one step, so its
-- laws hold for any number of nodes. Sent with EVALSHA only: a Redis that does not know it has restarted (log-recovery.ts).
--
-- KEYS   log (stream), meta (hash), heads (hash), receipts (prefix of the hashes of keys, one an epoch and slot of time),
--        ahead (hash)
-- ARGV   epoch, offset the caller has seen, budget in bytes, now in ms ('' = this server's), then for each item its facts in
--        one text and the body of each draft; an argument each would cost the node and this server more than taking it apart
--        facts, with blanks between: conv, user, key, its time in ms (-1 = none), guard, time of the look, the types of the
--        drafts with commas between, seed; '-' = none
-- gives  status (ok, epoch, short, full, stuck), now, the verdicts (per item `verdict a b c`, joined with commas), the head
--        after it, and what a seed that is asked for now must end with
--        0 new: seq, n, at of the first change     1 repeated: the same, as then      2 moved: guard
--        3 no head: the caller says what the store holds   4 look: the caller looks the key up everywhere
--        5 wait:    an item of the conversation before it got 3 or 4
--
-- Keys for ever, at bounded memory: a key that carries its time (UUIDv7) within WINDOW of now is remembered under that time
-- for as long as it counts as fresh, so it is either here or new. Any other may be older than what is remembered here: its
-- look covers all that was appended before `time of the look`, and what came since is found here. One of a time to come will
-- count as fresh when that time is here, and is forgotten by then: until then all keys of its user there are looked up.
local WINDOW, SLOT, MARGIN, MAX_LOOK_AGE = 120000, 10000, 120000, 60000

local log, meta, heads_key, ahead_key = KEYS[1], KEYS[2], KEYS[3], KEYS[5]
local receipts_key = KEYS[4] .. ARGV[1] .. ':'
local state = redis.call('HMGET', meta, 'epoch', 'head', 'bytes', 'trimmed_bytes', 'now', 'long_until', 'begun', 'evictions')
local offset, bytes = tonumber(state[2] or 0), tonumber(state[3] or 0)

local now = tonumber(ARGV[4])
if now == nil then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
  -- A clock set back must not bring fresh keys back, nor forget the arrivals since.
  now = math.max(now, tonumber(state[5] or 0))
end
if state[1] ~= ARGV[1] then return { 'epoch', now, '', offset } end
if offset < tonumber(ARGV[2]) then return { 'short', now, '', offset } end
if bytes - tonumber(state[4] or 0) >= tonumber(ARGV[3]) then return { 'full', now, '', offset } end
local long_until, begun = tonumber(state[6] or 0), tonumber(state[7] or 0)
-- Heads were let go of since a seed was asked for: the one that it stands for may have moved meanwhile.
local seed_mark = ARGV[1] .. ':' .. (state[8] or 0)
local has_ahead = redis.call('EXISTS', ahead_key) == 1

local heads, moved_heads, blocked = {}, {}, {}
local made, slots, moved_ahead = {}, {}, {}
local verdicts = {}

-- The wires, in pieces: joined once, where a string of its own for each would be hashed and copied once more.
local pieces, piece_count, opening = {}, 0, '{"t":"'
local head_offset = offset

-- Numbers become text once each, as whole numbers: what Lua does by itself costs three times as much.
local function text_of(number)
  return string.format('%d', number)
end
local now_text = text_of(now)

local function head_of(conv, seed)
  local head = heads[conv]
  if head then return head end
  local text = redis.call('HGET', heads_key, conv) or (string.match(seed, '%S*$') == seed_mark and seed)
  if not text then return nil end
  local seq, n, guard, at = string.match(text, '(%d+) (%d+) (%d+) (%d+)')
  head = { seq = tonumber(seq), n = tonumber(n), guard = guard, at = tonumber(at) }
  heads[conv] = head
  return head
end

local function kept_in(slot, name)
  return redis.call('HGET', receipts_key .. slot, name)
end

local function ahead_until(conv, user)
  if not has_ahead then return 0 end
  local sender = conv .. ' ' .. user
  return tonumber(moved_ahead[sender] or redis.call('HGET', ahead_key, sender) or 0)
end

local function is_fresh(time)
  return time >= 0 and math.abs(now - time) <= WINDOW
end

-- The receipt of a key ('' = new); nil: it needs a look.
local function receipt_of(conv, user, name, time, looked)
  if made[name] then return made[name] end
  local kept = time >= 0 and kept_in(math.floor(time / SLOT), name)
  if kept then return kept end
  if is_fresh(time) and now >= long_until and time > ahead_until(conv, user) then return '' end
  -- What came between the look and the beginning of the epoch is kept under the name of the epoch before.
  if not looked or looked < begun or now - looked > MAX_LOOK_AGE then return nil end
  for slot = math.floor(looked / SLOT), math.floor(now / SLOT) do
    kept = kept or kept_in(slot, name)
  end
  return kept or ''
end

-- Where it is looked for next: a fresh one under its own time, any other among what has come since a look.
local function remember(conv, user, name, time, receipt)
  local slot = math.floor((is_fresh(time) and time or now) / SLOT)
  made[name] = receipt
  local fields = slots[slot]
  if not fields then
    fields = { count = 0 }
    slots[slot] = fields
  end
  local count = fields.count
  fields[count + 1], fields[count + 2], fields.count = name, receipt, count + 2
  if time > now + WINDOW then
    moved_ahead[conv .. ' ' .. user] = math.max(time, ahead_until(conv, user))
    has_ahead = true
  end
end

-- Numbers the drafts of an item, whose bodies begin at `place`, and gives the receipt of the first.
local function number_drafts(head, conv, user, key, place, types)
  local at = now_text
  if head.at > now then at = text_of(head.at) else head.at = now end
  local receipt
  local key_field = key == '-' and ',' or ',"key":"' .. key .. '",'
  for type in string.gmatch(types, '%l+') do
    local n, number = '0', ''
    head.seq = head.seq + 1
    local seq = text_of(head.seq)
    if type == 'message' then
      head.n = head.n + 1
      n = text_of(head.n)
      number = ',"n":' .. n
    elseif type == 'member' or type == 'conv' then
      head.guard = seq
    end
    local p, to = pieces, piece_count
    p[to + 1], p[to + 2], p[to + 3], p[to + 4], p[to + 5], p[to + 6] = opening, type, '","conv":"', conv, '","seq":', seq
    p[to + 7], p[to + 8], p[to + 9], p[to + 10], p[to + 11] = number, ',"from":"', user, '","at":', at
    p[to + 12], p[to + 13], p[to + 14] = key_field, ARGV[place], '}'
    opening, piece_count, head_offset, place = '\n{"t":"', to + 14, head_offset + 1, place + 1
    receipt = receipt or seq .. ' ' .. n .. ' ' .. at
  end
  head.offset = head_offset
  moved_heads[conv] = head
  return receipt
end

local FACTS = '^((%S+) (%S+) (%S+)) (%S+) (%S+) (%S+) (%S+) (.*)$'
local place = 5
local function decide()
  local name, conv, user, key, time, guard, looked, types, seed = string.match(ARGV[place], FACTS)
  local first_body = place + 1
  local count = 1
  if string.find(types, ',', 1, true) then count = count + select(2, string.gsub(types, ',', '')) end
  place = first_body + count
  time = tonumber(time)
  if blocked[conv] then return '5' end
  if key ~= '-' then
    local receipt = receipt_of(conv, user, name, time, tonumber(looked))
    if receipt == nil then
      blocked[conv] = true
      return '4'
    elseif receipt ~= '' then
      return '1 ' .. receipt
    end
  end
  local head = head_of(conv, seed)
  if not head then
    blocked[conv] = true
    return '3'
  end
  if head.guard ~= guard then return '2 ' .. head.guard end
  local receipt = number_drafts(head, conv, user, key, first_body, types)
  if key ~= '-' then remember(conv, user, name, time, receipt) end
  return '0 ' .. receipt
end

while place < #ARGV do verdicts[#verdicts + 1] = decide() end

-- A call takes some thousands of values at most (Lua's unpack).
local function set_fields(key, fields, count)
  for first = 1, count, 1000 do
    redis.call('HSET', key, unpack(fields, first, math.min(first + 999, count)))
  end
end

if piece_count > 0 then
  local text = table.concat(pieces)
  -- First, since it alone can fail (somebody else's entry is in its place): what a script has written stays.
  local added = redis.pcall('XADD', log, text_of(head_offset) .. '-0', 'b', bytes, 'e', ARGV[1], 'w', text)
  if type(added) == 'table' and added.err then
    if string.find(added.err, 'equal or smaller') then return { 'stuck', now, '', offset } end
    return added
  end
  offset = head_offset
  redis.call('HSET', meta, 'head', offset, 'bytes', bytes + #text, 'now', now)
  local fields, count = {}, 0
  for conv, head in pairs(moved_heads) do
    local state = string.format('%d %d %s %d %d', head.seq, head.n, head.guard, head.at, head.offset)
    fields[count + 1], fields[count + 2], count = conv, state, count + 2
  end
  set_fields(heads_key, fields, count)
  for slot, receipts in pairs(slots) do
    set_fields(receipts_key .. slot, receipts, receipts.count)
    redis.call('PEXPIRE', receipts_key .. slot, (slot + 1) * SLOT + WINDOW + MARGIN - now)
  end
  for sender, time in pairs(moved_ahead) do redis.call('HSET', ahead_key, sender, time) end
end
return { 'ok', now, table.concat(verdicts, ','), offset, seed_mark }
