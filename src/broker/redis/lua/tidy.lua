-- Forgets values of metrics that nobody has updated for long, a part of them at a time.
--
-- KEYS  latest
-- ARGV  where to go on; ids before this one are old
-- ->    where to go on next, 0 at the end
local latest, cursor, before = KEYS[1], ARGV[1], ARGV[2]
local answer = redis.call('HSCAN', latest, cursor, 'COUNT', 200)
local pairs_found = answer[2]
for i = 1, #pairs_found, 2 do
  -- What hubs remember has no age.
  local is_state = string.sub(pairs_found[i], 1, 2) == 's '
  if not is_state and is_above(before, string.match(pairs_found[i + 1], '^%S+')) then
    redis.call('HDEL', latest, pairs_found[i])
  end
end
return answer[1]
