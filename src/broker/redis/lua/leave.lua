-- A hub stops: it is not there any more, and its sources are free at once.
--
-- KEYS  nodes, about nodes, sources
-- ARGV  node
local nodes, about, sources = unpack(KEYS)
local node = ARGV[1]
redis.call('ZREM', nodes, node)
redis.call('HDEL', about, node)
local held = redis.call('HGETALL', sources)
for i = 1, #held, 2 do
  local holder, fence, _, read = string.match(held[i + 1], '^(%S+) (%d+) (%d+) (%d+)$')
  if holder == node then
    redis.call('HSET', sources, held[i], string.format('%s %s 0 %s', holder, fence, read))
  end
end
