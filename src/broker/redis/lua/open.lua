-- A stream is to be opened: the user's connections over all hubs are counted, and where it resumes a session that
-- session is this hub's from now on.
--
-- KEYS  nodes, log, head, live connections of the user, session, changes of the user, ended
-- ARGV  epoch; node; token; user; connection; transport; connections the user may have; 1 where a session is
--       resumed; the position that the client names (empty: none); for how long sessions are kept, in ms
-- ->    {'limit'}, {'unknown'}, or
--       {'open', 1 where this hub had the session already, record or empty, its position, id to have read first, id
--        up to which changes are in the record, changes, ends}
local nodes, log, head, live, session, changes, ended = unpack(KEYS)
local epoch, node, token, user, connection, transport, most, resumes, position, ttl = unpack(ARGV)
local last, tag = checked(head, epoch)
if not last then
  return tag
end
local now = now_ms()
local alive = alive(nodes, now)
local count = redis.call('HLEN', live)
if count >= tonumber(most) then
  -- Those of hubs that are gone do not count, nor does the stream that this one takes the place of.
  local held = redis.call('HGETALL', live)
  count = 0
  for i = 1, #held, 2 do
    local owner = string.match(held[i + 1], '^%S+')
    if not alive[owner] then
      redis.call('HDEL', live, held[i])
    elseif held[i] ~= token then
      count = count + 1
    end
  end
end
local record, saved, seen, owner = '', '', '', ''
if resumes == '1' then
  local of, by, kept, at, through = unpack(redis.call('HMGET', session, 'user', 'node', 'record', 'position', 'seen'))
  if of ~= user then
    return {'unknown'}
  end
  -- Also where it is this hub's own: an opening may have ended after it was made so.
  owner, record, saved, seen = by or '', kept or '', at or '', through or ''
end
if count >= tonumber(most) then
  return {'limit'}
end
local wanted = position ~= '' and position or saved
local read_first = wanted ~= '' and last or ''
if is_above(wanted, last) and parts(wanted) <= now + 1000 then
  -- Somebody was sent what the log lost. What comes next is to lie above it, for as long as that is not far ahead.
  read_first = append_control(log, head, last, id_after(wanted, now, tag), 'mark', '')
  last = read_first
end
local changed, ends = {}, {}
if record ~= '' then
  changed = redis.call('LRANGE', changes, 0, -1)
  ends = redis.call('LRANGE', ended, 0, -1)
  if owner ~= node and alive[owner] and redis.call('HEXISTS', live, token) == 1 then
    read_first = append_control(log, head, last, id_after(last, now, tag), 'taken', token .. ' ' .. node)
  end
end
redis.call('HSET', live, token, node .. ' ' .. transport .. ' ' .. connection)
redis.call('PEXPIRE', live, ttl)
redis.call('HSET', session, 'user', user, 'node', node)
redis.call('PEXPIRE', session, ttl)
return {'open', owner == node and 1 or 0, record, saved, read_first, seen, changed, ends}
