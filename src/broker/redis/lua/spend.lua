-- Takes from a bucket that all hubs share (GCRA): as many as there are, up to so many.
--
-- KEYS  bucket
-- ARGV  one every so many microseconds; how many may come at once; how many are wanted at most
-- ->    how many were taken, and if none after how many microseconds there will be one
local bucket = KEYS[1]
local every, burst, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local due = math.max(tonumber(redis.call('GET', bucket)) or 0, now)
-- `due` is when the bucket would be full again.
local free = math.floor((now + every * burst - due) / every)
if free < 1 then
  return {0, due + every - every * burst - now}
end
local taken = math.min(free, wanted)
due = due + taken * every
redis.call('SET', bucket, string.format('%.0f', due), 'PX', math.ceil((due - now) / 1000) + 1000)
return {taken, 0}
