-- A hub takes part, over a new connection. Whether the log is still the one it knew is decided here, for all hubs
-- at once; where nobody can know, or something is missing for certain, the log begins a new epoch.
--
-- KEYS  log, head
-- ARGV  an epoch to found where one is to be; the newest id that the hub knows; 1 where what a failover lost cannot
--       be known
-- ->    epoch, server, newest id, why an epoch was founded (empty: none was)
local log, head = KEYS[1], KEYS[2]
local fresh, known, is_doubtful = ARGV[1], ARGV[2], ARGV[3] == '1'
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
elseif is_above(known, last) then
  reason = 'the log went back'
end
if reason == '' then
  if seen_on ~= lineage then
    redis.call('HSET', head, 'lineage', lineage)
  end
  return {epoch, lineage, last, reason}
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
local known_ms = parts(known)
if known_ms > 0 then
  known_ms = known_ms + 1000
end
local floor_ms = parts(floor)
local id = id_after(floor, math.max(now_ms(), known_ms, floor_ms))
append_control(log, head, last, id, 'epoch', reason)
redis.call('HSET', head, 'epoch', fresh, 'lineage', lineage)
return {fresh, lineage, id, reason}
