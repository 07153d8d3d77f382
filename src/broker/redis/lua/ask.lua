-- A question to every hub, in the log, so that all get it, and at the same place among the messages.
--
-- KEYS  nodes, log, head, a list that remembers it (or nothing)
-- ARGV  epoch; the question; what the list is to remember; for how long, in ms
-- ->    id of the question, nodes that are there
local nodes, log, head, list = unpack(KEYS)
local epoch, question, words, ttl = unpack(ARGV)
local last, tag = checked(head, epoch)
if not last then
  return tag
end
local now = now_ms()
local id = append_control(log, head, last, id_after(last, now, tag), 'ask', question)
if list then
  redis.call('RPUSH', list, id .. ' ' .. words)
  redis.call('LTRIM', list, -1000, -1)
  redis.call('PEXPIRE', list, ttl)
end
local there = {}
for node in pairs(alive(nodes, now)) do
  there[#there + 1] = node
end
return {id, there}
