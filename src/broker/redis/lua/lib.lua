-- What the other scripts share: it stands before each of them.
--
-- An id is `<milliseconds>-<sequence>`, the sequence below 2^20. Its low 12 bits are a tag that changes with the
-- epoch and with the server: two servers that both go on from one log, at the same millisecond, do not give the
-- same id to different messages, but once in 4,096 times. Entries form a chain: each says in `p` which one was
-- before it. `head` knows the epoch of the log, the server that it was last seen on, the tag, the newest id, and how
-- many entries there ever were.

local TAGS = 4096
local A_MILLISECOND = 256

local function parts(id)
  local ms, sequence = string.match(id or '', '^(%d+)%-(%d+)$')
  return tonumber(ms) or 0, tonumber(sequence) or 0
end

local function joined(ms, sequence)
  return string.format('%.0f-%.0f', ms, sequence)
end

local function is_above(a, b)
  local a_ms, a_sequence = parts(a)
  local b_ms, b_sequence = parts(b)
  return a_ms > b_ms or (a_ms == b_ms and a_sequence > b_sequence)
end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- The id after `last` at `now`: never back with the clock.
local function id_after(last, now, tag)
  local ms, sequence = parts(last)
  local place = 0
  if now > ms then
    ms = now
  else
    place = math.floor(sequence / TAGS) + 1
    if place == A_MILLISECOND then
      ms, place = ms + 1, 0
    end
  end
  return joined(ms, place * TAGS + tonumber(tag))
end

-- Appends an entry that carries no message, and returns its id.
local function append_control(log, head, last, id, kind, data)
  redis.call('XADD', log, id, 'p', last, 'c', kind, 'd', data)
  redis.call('HSET', head, 'last', id)
  redis.call('HINCRBY', head, 'count', 1)
  return id
end

-- The nodes whose lease has not run out.
local function alive(nodes, now)
  local alive = {}
  for _, node in ipairs(redis.call('ZRANGEBYSCORE', nodes, string.format('(%.0f', now), '+inf')) do
    alive[node] = true
  end
  return alive
end

local function server_lineage()
  local info = redis.call('INFO', 'replication')
  return string.match(info, 'master_replid:(%x+)'), string.match(info, 'role:(%a+)')
end

-- The epoch, newest id and tag of the log; or an error where it is not the one that the caller knows.
local function checked(head, epoch)
  local known, seen_on, last, tag = unpack(redis.call('HMGET', head, 'epoch', 'lineage', 'last', 'tag'))
  local lineage, role = server_lineage()
  if role ~= 'master' then
    return nil, redis.error_reply('READONLY this is a replica')
  elseif known ~= epoch or seen_on ~= lineage then
    return nil, redis.error_reply('EPOCH the log is another one')
  end
  return last, tag
end

-- Whether an id is an entry of the log, or of before what the log still has.
local function is_entry(log, id)
  if #redis.call('XRANGE', log, id, id) > 0 then
    return true
  end
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  return first ~= nil and is_above(first[1], id)
end
