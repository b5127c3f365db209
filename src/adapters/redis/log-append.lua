-- Appends a batch to one part of the log: key, head, guard, number, wire text, one stream entry. Runs as one step, so its
-- laws hold for any number of nodes. Sent with EVALSHA only: a Redis that does not know it has restarted (log-recovery.ts).
--
-- KEYS   log (stream), meta (hash), heads (hash), receipts (prefix of the hashes of keys, one an epoch and slot of time),
--        ahead (hash)
-- ARGV   epoch, offset the caller has seen, budget in bytes, now in ms ('' = this server's), then for each item:
--        conv, user, key, its hash, its time in ms (-1 = none), guard, time of the look ('' = none), seed, number of drafts,
--        and for each draft its type and body
-- gives  status (ok, epoch, short, full, stuck), now, the verdicts (per item `verdict a b c`, joined with commas), the head
--        after it, and what a seed that is asked for now must end with
--        0 new:     first seq, messages before it, at      1 repeated: seq, n, at      2 moved: guard
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
local wires, verdicts = {}, {}

local function head_of(conv, seed)
  local head = heads[conv]
  if head then return head end
  local text = redis.call('HGET', heads_key, conv) or (string.match(seed, '%S*$') == seed_mark and seed)
  if not text then return nil end
  local seq, n, guard, at = string.match(text, '(%d+) (%d+) (%d+) (%d+)')
  head = { seq = tonumber(seq), n = tonumber(n), guard = tonumber(guard), at = tonumber(at) }
  heads[conv] = head
  return head
end

local function kept_in(slot, hash)
  return redis.call('HGET', receipts_key .. slot, hash)
end

local function ahead_until(sender)
  local known = moved_ahead[sender] or (has_ahead and redis.call('HGET', ahead_key, sender))
  return tonumber(known or 0)
end

local function is_fresh(time)
  return time >= 0 and math.abs(now - time) <= WINDOW
end

-- The receipt of a key ('' = new); nil: it needs a look.
local function receipt_of(sender, hash, time, looked)
  if made[hash] then return made[hash] end
  local kept = time >= 0 and kept_in(math.floor(time / SLOT), hash)
  if kept then return kept end
  if is_fresh(time) and now >= long_until and time > ahead_until(sender) then return '' end
  -- What came between the look and the beginning of the epoch is kept under the name of the epoch before.
  if not looked or looked < begun or now - looked > MAX_LOOK_AGE then return nil end
  for slot = math.floor(looked / SLOT), math.floor(now / SLOT) do
    kept = kept or kept_in(slot, hash)
  end
  return kept or ''
end

-- Where it is looked for next: a fresh one under its own time, any other among what has come since a look.
local function remember(sender, hash, time, receipt)
  local slot = math.floor((is_fresh(time) and time or now) / SLOT)
  made[hash] = receipt
  slots[slot] = slots[slot] or {}
  table.insert(slots[slot], hash)
  if time > now + WINDOW then moved_ahead[sender] = math.max(time, ahead_until(sender)) end
end

local place = 4
local function next_arg()
  place = place + 1
  return ARGV[place]
end

local function number_drafts(head, conv, user, key, count)
  local at = math.max(now, head.at)
  local key_field = key == '' and '' or ',"key":"' .. key .. '"'
  local tail = ',"from":"' .. user .. '","at":' .. at .. key_field .. ','
  for _ = 1, count do
    local type, body = next_arg(), next_arg()
    head.seq = head.seq + 1
    local number = ''
    if type == 'message' then
      head.n = head.n + 1
      number = ',"n":' .. head.n
    elseif type == 'member' or type == 'conv' then
      head.guard = head.seq
    end
    wires[#wires + 1] = '{"t":"' .. type .. '","conv":"' .. conv .. '","seq":' .. head.seq .. number .. tail .. body .. '}'
  end
  head.at, head.offset = at, offset + #wires
  moved_heads[conv] = head
  return at
end

local function decide()
  local conv, user, key, hash = next_arg(), next_arg(), next_arg(), next_arg()
  local time, guard, looked, seed = tonumber(next_arg()), tonumber(next_arg()), tonumber(next_arg()), next_arg()
  local count = tonumber(next_arg())
  local first_draft = place
  local function answer(...)
    place = first_draft + 2 * count
    return table.concat({ ... }, ' ')
  end
  if blocked[conv] then return answer(5) end
  local sender = conv .. ' ' .. user
  if key ~= '' then
    local receipt = receipt_of(sender, hash, time, looked)
    if receipt == nil then
      blocked[conv] = true
      return answer(4)
    elseif receipt ~= '' then
      return answer(1, receipt)
    end
  end
  local head = head_of(conv, seed)
  if not head then
    blocked[conv] = true
    return answer(3)
  end
  if head.guard ~= guard then return answer(2, head.guard) end
  local seq, n = head.seq + 1, head.n
  local at = number_drafts(head, conv, user, key, count)
  if key ~= '' then remember(sender, hash, time, seq .. ' ' .. (head.n > n and n + 1 or 0) .. ' ' .. at) end
  return answer(0, seq, n, at)
end

while place < #ARGV do verdicts[#verdicts + 1] = decide() end

-- A call takes some thousands of values at most (Lua's unpack).
local function set_fields(key, fields)
  for first = 1, #fields, 1000 do
    redis.call('HSET', key, unpack(fields, first, math.min(first + 999, #fields)))
  end
end

if #wires > 0 then
  local text = table.concat(wires, '\n')
  -- First, since it alone can fail (somebody else's entry is in its place): what a script has written stays.
  local added = redis.pcall('XADD', log, (offset + #wires) .. '-0', 'b', bytes, 'e', ARGV[1], 'w', text)
  if type(added) == 'table' and added.err then
    if string.find(added.err, 'equal or smaller') then return { 'stuck', now, '', offset } end
    return added
  end
  offset = offset + #wires
  redis.call('HSET', meta, 'head', offset, 'bytes', bytes + #text, 'now', now)
  local fields = {}
  for conv, head in pairs(moved_heads) do
    fields[#fields + 1] = conv
    fields[#fields + 1] = table.concat({ head.seq, head.n, head.guard, head.at, head.offset }, ' ')
  end
  set_fields(heads_key, fields)
  for slot, hashes in pairs(slots) do
    fields = {}
    for _, hash in ipairs(hashes) do
      fields[#fields + 1] = hash
      fields[#fields + 1] = made[hash]
    end
    set_fields(receipts_key .. slot, fields)
    redis.call('PEXPIRE', receipts_key .. slot, (slot + 1) * SLOT + WINDOW + MARGIN - now)
  end
  for sender, time in pairs(moved_ahead) do redis.call('HSET', ahead_key, sender, time) end
end
return { 'ok', now, table.concat(verdicts, ','), offset, seed_mark }
