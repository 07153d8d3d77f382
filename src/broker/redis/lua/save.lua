-- What became of sessions: written only where they are still this hub's.
--
-- KEYS  head, then the sessions
-- ARGV  node; for how long sessions are kept, in ms; the newest id that the hub has read; what the keys of users'
--       live connections begin with, and those of spent tickets; then of each session:
--         token; what: save, close, move or forget; with a move the position; with save and close position, user,
--         record, connection, transport, ticket
-- ->    tokens of sessions that are another hub's by now
local node, ttl, seen, live_of, spent_of = unpack(ARGV, 1, 5)
local at = 6
local lost = {}

local function take(count)
  at = at + count
  return unpack(ARGV, at - count, at - 1)
end

local function write(session)
  local token, what = take(2)
  local position, user, record, connection, transport, ticket
  if what == 'move' then
    position = take(1)
  elseif what ~= 'forget' then
    position, user, record, connection, transport, ticket = take(6)
  end
  local owner, of, opened_by = unpack(redis.call('HMGET', session, 'node', 'user', 'ticket'))
  local live = live_of .. (user or of or '')
  local held = redis.call('HGET', live, token)
  -- What is live goes over what is away: where Redis has lost something, whoever had it last may not be known.
  if owner and owner ~= node and (what ~= 'save' or held) then
    lost[#lost + 1] = token
    return
  end
  if what == 'move' then
    if owner then
      redis.call('HSET', session, 'position', position)
      redis.call('PEXPIRE', session, ttl)
      redis.call('PEXPIRE', live, ttl)
      if (opened_by or '') ~= '' then
        redis.call('PEXPIRE', spent_of .. opened_by, ttl)
      end
    end
    return
  end
  local is_mine = not held or string.match(held, '^%S+') == node
  if what == 'forget' then
    redis.call('DEL', session)
  else
    redis.call('HSET', session, 'user', user, 'node', node, 'position', position, 'record', record, 'seen', seen,
      'ticket', ticket)
    redis.call('PEXPIRE', session, ttl)
    if ticket ~= '' then
      redis.call('SET', spent_of .. ticket, token, 'PX', ttl)
    end
  end
  if is_mine and what == 'save' then
    redis.call('HSET', live, token, node .. ' ' .. transport .. ' ' .. connection)
    redis.call('PEXPIRE', live, ttl)
  elseif is_mine and held then
    redis.call('HDEL', live, token)
  end
end

for i = 2, #KEYS do
  write(KEYS[i])
end
return lost
