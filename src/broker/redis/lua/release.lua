-- A slot of a user's that was taken for a stream which then was not opened.
--
-- KEYS  live connections of the user
-- ARGV  token; node, transport and connection that it was taken for
local live, token, taken_for = KEYS[1], ARGV[1], ARGV[2]
if redis.call('HGET', live, token) == taken_for then
  redis.call('HDEL', live, token)
end
