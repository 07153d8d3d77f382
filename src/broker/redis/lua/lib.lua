-- What the other scripts share: it stands before each of them.
--
-- An id is `<milliseconds>-<sequence>`, the sequence below 2^20. Entries form a chain: each says in `p` which one
-- was before it. `head` knows the epoch of the log, the server that it was last seen on, and the newest id.

local SEQUENCE_MAX = 1048575

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
local function id_after(last, now)
  local ms, sequence = parts(last)
  if now > ms then
    return joined(now, 0)
  elseif sequence < SEQUENCE_MAX then
    return joined(ms, sequence + 1)
  end
  return joined(ms + 1, 0)
end

-- Appends an entry that carries no message, and returns its id.
local function append_control(log, head, last, id, kind, data)
  redis.call('XADD', log, id, 'p', last, 'c', kind, 'd', data)
  redis.call('HSET', head, 'last', id)
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
