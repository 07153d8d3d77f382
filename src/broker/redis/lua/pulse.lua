-- A hub says that it is there, and keeps or takes over the sources that nobody reads.
--
-- KEYS  nodes, about nodes, head, sources, log
-- ARGV  epoch; node; its lease in ms; about it; the lease of sources in ms; how many messages the log keeps; then
--       the sources
-- ->    the newest id; how many entries there ever were; 1 where the others may have taken this hub for dead; and a
--       list with, of each source, the fence, 0 where another hub reads it, and how long ago it was read, in ms, -1
--       for never
local nodes, about, head, sources, log = unpack(KEYS)
local epoch, node, lease, words, hold, keep = unpack(ARGV, 1, 6)
local last, failure = checked(head, epoch)
if not last then
  return failure
end
local now = now_ms()
local lapsed = (tonumber(redis.call('ZSCORE', nodes, node)) or 0) <= now and 1 or 0
redis.call('ZADD', nodes, now + tonumber(lease), node)
redis.call('HSET', about, node, words)
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', nodes, '-inf', now - 10 * tonumber(lease))) do
  redis.call('ZREM', nodes, dead)
  redis.call('HDEL', about, dead)
end
-- Questions do not trim the log, and may be all that there is.
redis.call('XTRIM', log, 'MAXLEN', '~', keep)
local fences = {}
for i = 7, #ARGV do
  local source = ARGV[i]
  local held = redis.call('HGET', sources, source) or ''
  local holder, fence, ends, read = string.match(held, '^(%S+) (%d+) (%d+) (%d+)$')
  fence, ends, read = tonumber(fence) or 0, tonumber(ends) or 0, tonumber(read) or 0
  if holder ~= node and ends <= now then
    holder, fence = node, fence + 1
  end
  if holder == node then
    local kept = string.format('%s %.0f %.0f %.0f', node, fence, now + tonumber(hold), read)
    redis.call('HSET', sources, source, kept)
    fences[#fences + 1] = fence
  else
    fences[#fences + 1] = 0
  end
  fences[#fences + 1] = read > 0 and now - read or -1
end
return {last, tonumber(redis.call('HGET', head, 'count')) or 0, lapsed, fences}
