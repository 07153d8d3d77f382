-- A hub takes part, over a new connection. Whether the log is still the one it knew is decided here, for all hubs
-- at once; where nobody can know, or something is missing for certain, the log begins a new epoch.
--
-- KEYS  log, head
-- ARGV  an epoch and a tag, for where one is to be founded; the newest id that the hub ever read; 1 where what a
--       failover lost cannot be known; the newest id that the hub acknowledged to a publisher, and in which epoch
--       that was (both empty: none); the id after which it wants to go on (empty: it has nothing)
-- ->    epoch, server, newest id, how many entries there ever were, why an epoch was founded (empty: none was), 1
--       where it can go on
local log, head = KEYS[1], KEYS[2]
local fresh, fresh_tag, seen, is_doubtful = ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1'
local acknowledged, acknowledged_in, read = ARGV[5], ARGV[6], ARGV[7]
local lineage, role = server_lineage()
if role ~= 'master' then
  return redis.error_reply('READONLY this is a replica')
end
local epoch, seen_on, last = unpack(redis.call('HMGET', head, 'epoch', 'lineage', 'last'))
last = last or '0-0'
local reason = ''
if not epoch then
  reason = 'the log is empty'
elseif seen_on ~= lineage and is_doubtful then
  reason = 'the server is another one, or was started anew'
elseif is_above(seen, last) then
  reason = 'the log went back'
elseif acknowledged ~= '' and acknowledged_in ~= epoch and not is_entry(log, acknowledged) then
  -- On a server that nobody else followed any more.
  reason = 'the log lacks what was acknowledged'
end
local function count()
  return tonumber(redis.call('HGET', head, 'count')) or 0
end
local can_go_on = (read ~= '' and is_entry(log, read)) and 1 or 0
if reason == '' then
  if seen_on ~= lineage then
    redis.call('HSET', head, 'lineage', lineage, 'tag', fresh_tag)
  end
  return {epoch, lineage, last, count(), reason, can_go_on}
end
-- Above everything that any hub may have sent: others may have read a little further than this one.
local floor = last
if redis.call('EXISTS', log) == 1 then
  local info = redis.call('XINFO', 'STREAM', log)
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' and is_above(info[i + 1], floor) then
      floor = info[i + 1]
    end
  end
end
if is_above(seen, floor) then
  floor = seen
end
local seen_ms = parts(seen)
if seen_ms > 0 then
  seen_ms = seen_ms + 1000
end
local id = id_after(floor, math.max(now_ms(), seen_ms), fresh_tag)
append_control(log, head, last, id, 'epoch', reason)
redis.call('HSET', head, 'epoch', fresh, 'lineage', lineage, 'tag', fresh_tag)
return {fresh, lineage, id, count(), reason, 0}
