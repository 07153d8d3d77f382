-- Appends batches, each whole or not at all.
--
-- KEYS  log, head, latest, sources, then whatever the batches name by number
-- ARGV  epoch; node; how many messages the log keeps; for how long keys are remembered, in ms; then the batches, each:
--         how many messages; wall clock; alert as JSON or empty; key of the alert that changes (0: none), from which
--         state, to which; a source and the fence it is read under, or both empty; its trace or empty
--       and each message of it:
--         topic; priority, retain; data; number of its key (0: none); fingerprint
-- ->    how many entries there ever were; of each batch its ids, or a word: KEY, ALERT, FENCE
local log, head, latest, sources = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local last, tag = checked(head, ARGV[1])
if not last then
  return tag
end
local node, keep, ttl = ARGV[2], ARGV[3], ARGV[4]
local now = now_ms()
local at = 5
-- Of each topic the newest value, written once.
local values = {}
local added = 0

local function take(count)
  at = at + count
  return unpack(ARGV, at - count, at - 1)
end

-- A source is read by whoever holds it; the others' readings are refused, and when it was read is kept for the next.
local function is_read(source, fence)
  local held = redis.call('HGET', sources, source)
  local holder, number, ends = string.match(held or '', '^(%S+) (%d+) (%d+)')
  if holder ~= node or number ~= fence then
    return false
  end
  redis.call('HSET', sources, source, string.format('%s %s %s %.0f', holder, number, ends, now))
  return true
end

local function batch()
  local count, wall, alert, alert_key, from, to, source, fence, trace = take(9)
  local messages = {}
  local refused
  for i = 1, tonumber(count) do
    local message = {take(5)}
    messages[i] = message
    local key = tonumber(message[4])
    if key > 0 then
      local known = redis.call('GET', KEYS[key])
      if known then
        local id, of = string.match(known, '^(%S+) (.*)$')
        if of ~= message[5] then
          refused = 'KEY'
        end
        message.known = id
      end
    end
  end
  if refused then
    return refused
  end
  if source ~= '' and not is_read(source, fence) then
    return 'FENCE'
  end
  alert_key = tonumber(alert_key)
  if alert_key > 0 and not messages[1].known then
    local state = redis.call('GET', KEYS[alert_key]) or from
    if state ~= from then
      return 'ALERT'
    end
    redis.call('SET', KEYS[alert_key], to, 'PX', 86400000)
  end
  local ids = {}
  for i, message in ipairs(messages) do
    if message.known then
      ids[i] = message.known
    else
      local topic, how, data, key, of = unpack(message)
      local id = id_after(last, now, tag)
      how = how .. ' ' .. wall
      local fields = {'p', last, 't', topic, 'h', how, 'd', data}
      key = tonumber(key)
      if key > 0 then
        fields[#fields + 1] = 'k'
        fields[#fields + 1] = string.match(KEYS[key], '[^:]*$') .. ' ' .. of
        redis.call('SET', KEYS[key], id .. ' ' .. of, 'PX', ttl)
      end
      if alert ~= '' then
        fields[#fields + 1] = 'a'
        fields[#fields + 1] = alert
      end
      if trace ~= '' then
        fields[#fields + 1] = 's'
        fields[#fields + 1] = trace
      end
      redis.call('XADD', log, 'MAXLEN', '~', keep, id, unpack(fields))
      last = id
      added = added + 1
      local kind = string.sub(topic, 1, 1)
      if kind == 'm' or kind == 'u' or kind == 's' then
        values[topic] = id .. ' ' .. how .. ' ' .. data
      end
      ids[i] = id
    end
  end
  return ids
end

local answers = {}
while at <= #ARGV do
  answers[#answers + 1] = batch()
end
redis.call('HSET', head, 'last', last)
for topic, value in pairs(values) do
  redis.call('HSET', latest, topic, value)
end
return {redis.call('HINCRBY', head, 'count', added), answers}
