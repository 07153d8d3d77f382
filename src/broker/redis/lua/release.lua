-- A slot of a user's that was taken for a stream which then was not opened.
--
-- KEYS  live connections of the user
-- ARGV  node; token
local live, node, token = KEYS[1], ARGV[1], ARGV[2]
local held = redis.call('HGET', live, token)
if held and string.match(held, '^%S+') == node then
  redis.call('HDEL', live, token)
end
