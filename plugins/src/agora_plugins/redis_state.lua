-- What the state store asks of Redis. Each call is one step that nobody sees half of, and bounded, so that nobody waits
-- long.
--
-- KEYS[1] is the prefix; ARGV[1] the operation, ARGV[2] the moment or '' for the server's own, the rest its arguments.
-- Values are opaque here: JSON behind its checksum. Moments are microseconds since 1970 in UTC.
-- P:format      the version of all this                P:positions, P:memories   hashes: pipeline to value
-- P:pipelines   the set of pipelines with a history    P:run:ID                  a hash: the run, and how it is found
-- P:started, P:started:PIPELINE    runs by their start, as NUMBER:ID; P:going_on: those without an outcome
-- P:decided:PIPELINE               decisions by their moment, as SEQUENCE:VALUE; P:decisions: the greatest sequence
-- P:requests    a hash: number to value; P:asked the greatest number ever given; P:open, P:answered: numbers
-- P:claim       a hash: the worker that owns the store, its value, and until when
-- P:done:TOKEN  for an hour: the answer of a call that must not be made twice

local FORMAT = 1
local LOOKED_AT_ONCE = 2000
local DELETED_AT_ONCE = 1000
local PIPELINES_AT_ONCE = 100
local REMEMBERED_SECONDS = 3600

local prefix = KEYS[1]

local function key(...)
  return prefix .. ':' .. table.concat({...}, ':')
end

local function text(number)
  return string.format('%.0f', number)
end

local function now()
  if ARGV[2] ~= '' then
    return tonumber(ARGV[2])
  end
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- Does *step* once for this token, however often it is called, and returns what it answered then.
local function once(token, step)
  local done = redis.call('GET', key('done', token))
  if done then
    redis.call('EXPIRE', key('done', token), REMEMBERED_SECONDS)  -- a write, so that its caller waits for all before it
    return done
  end
  local answer = step()
  redis.call('SET', key('done', token), answer, 'EX', REMEMBERED_SECONDS)
  return answer
end

-- Calls *visit* with the members of a sorted set, the latest first, in [since, until) and behind the *cursor*, until it
-- returns true or enough were looked at; returns where to go on, or '' at the end.
local function walk(set, since, till, cursor, cursor_score, visit)
  local start = 0
  if cursor ~= '' then
    local rank = redis.call('ZREVRANK', set, cursor)
    start = rank and rank + 1 or redis.call('ZCOUNT', set, cursor_score, '+inf')
  elseif till ~= '' then
    start = redis.call('ZCOUNT', set, till, '+inf')
  end
  local found = redis.call('ZREVRANGE', set, start, start + LOOKED_AT_ONCE - 1, 'WITHSCORES')
  for place = 1, #found, 2 do
    local member, score = found[place], found[place + 1]
    if since ~= '' and tonumber(score) < tonumber(since) then
      return '', ''
    end
    if visit(member) then
      return member, score
    end
  end
  if #found < 2 * LOOKED_AT_ONCE then
    return '', ''
  end
  return found[#found - 1], found[#found]
end

local function run_member(number, id)
  return string.format('%012d', tonumber(number)) .. ':' .. id
end

local function forget_run(id)
  local row = redis.call('HMGET', key('run', id), 'pipeline', 'number')
  if row[1] then
    local member = run_member(row[2], id)
    redis.call('ZREM', key('started'), member)
    redis.call('ZREM', key('started', row[1]), member)
    redis.call('ZREM', key('going_on'), member)
    redis.call('DEL', key('run', id))
  end
end

local function keep_run(id, pipeline, started, number, outcome, ended, value)
  forget_run(id)
  local member = run_member(number, id)
  redis.call('HSET', key('run', id), 'pipeline', pipeline, 'started', started, 'number', number, 'outcome', outcome,
    'ended', ended, 'value', value)
  redis.call('ZADD', key('started'), started, member)
  redis.call('ZADD', key('started', pipeline), started, member)
  if outcome == '' then
    redis.call('ZADD', key('going_on'), started, member)
  end
  redis.call('SADD', key('pipelines'), pipeline)
end

local function keep_decision(pipeline, at, value)
  local sequence = redis.call('INCR', key('decisions'))
  redis.call('ZADD', key('decided', pipeline), at, string.format('%016d', sequence) .. ':' .. value)
  redis.call('SADD', key('pipelines'), pipeline)
end

local operations = {}

function operations.open()
  local found = redis.call('GET', key('format'))
  if not found then
    redis.call('SET', key('format'), text(FORMAT))
  end
  return {found or '0', text(FORMAT)}
end

function operations.save_position(pipeline, value)
  redis.call('HSET', key('positions'), pipeline, value)
  return 1
end

function operations.position(pipeline)
  return redis.call('HGET', key('positions'), pipeline)
end

-- Pages of pairs, behind a cursor of Redis's own.
function operations.memories(cursor)
  local found = redis.call('HSCAN', key('memories'), cursor, 'COUNT', LOOKED_AT_ONCE)
  table.insert(found[2], 1, found[1])
  return found[2]
end

-- Behind the token: how many memories, and each; how many runs, and each; and the decisions.
function operations.record(token)
  return once(token, function()
    local place = 4
    local function each(width, keep)
      local count = tonumber(ARGV[place])
      place = place + 1
      for _ = 1, count do
        keep(unpack(ARGV, place, place + width - 1))
        place = place + width
      end
    end
    each(2, function(pipeline, value)
      redis.call('HSET', key('memories'), pipeline, value)
    end)
    each(7, keep_run)
    each(3, keep_decision)
    return '1'
  end)
end

local function is_wanted(row, pipeline, ended, outcomes)
  return (pipeline == '' or row[1] == pipeline)
    and (ended == '' or (ended == '1') == (row[2] ~= ''))
    and (outcomes == '' or (row[2] ~= '' and string.find(outcomes, ',' .. row[2] .. ',', 1, true) ~= nil))
end

function operations.runs(pipeline, ended, outcomes, since, till, limit)
  local set = key('started')
  if ended == '0' then
    set = key('going_on')
  elseif pipeline ~= '' then
    set = key('started', pipeline)
  end
  local found = {}
  local cursor, score = walk(set, since, till, ARGV[9], ARGV[10], function(member)
    local id = string.sub(member, 14)
    local row = redis.call('HMGET', key('run', id), 'pipeline', 'outcome', 'value')
    if row[1] and is_wanted(row, pipeline, ended, outcomes) then
      table.insert(found, id)
      table.insert(found, row[3])
    end
    return #found / 2 >= tonumber(limit)
  end)
  return {cursor, score, unpack(found)}
end

function operations.run(id)
  return redis.call('HMGET', key('run', id), 'value', 'pipeline', 'started', 'outcome')
end

function operations.decisions(pipeline, since, till, limit, cursor, score)
  local found = {}
  local following, its_score = walk(key('decided', pipeline), since, till, cursor, score, function(member)
    table.insert(found, string.sub(member, 1, 16))
    table.insert(found, string.sub(member, 18))
    return #found / 2 >= tonumber(limit)
  end)
  return {following, its_score, unpack(found)}
end

local function prune_runs(pipeline, before, keep, most)
  local set = key('started', pipeline)
  local old, passed, gone = redis.call('ZCARD', set) - keep, 0, 0
  while gone < most and passed < old do
    local most_now = math.min(old - passed, most)
    local found = redis.call('ZRANGEBYSCORE', set, '-inf', '(' .. before, 'LIMIT', passed, most_now)
    if #found == 0 then
      break
    end
    for _, member in ipairs(found) do
      local id = string.sub(member, 14)
      local row = redis.call('HMGET', key('run', id), 'outcome', 'ended')
      local is_over = row[1] and row[1] ~= '' and row[2] ~= ''
      if is_over and tonumber(row[2]) < tonumber(before) then
        forget_run(id)
        old, gone = old - 1, gone + 1
      else
        passed = passed + 1
      end
    end
  end
  return gone
end

local function prune_decisions(pipeline, before, keep, most)
  local set = key('decided', pipeline)
  local old = math.min(redis.call('ZCARD', set) - keep, most)
  if old <= 0 then
    return 0
  end
  local found = redis.call('ZRANGEBYSCORE', set, '-inf', '(' .. before, 'LIMIT', 0, old)
  for _, member in ipairs(found) do
    redis.call('ZREM', set, member)
  end
  return #found
end

-- Some pipelines behind a cursor of Redis's own: where to go on, which is here as long as there may be more, and how
-- many are gone.
function operations.prune(before, keep, cursor)
  local scanned = redis.call('SSCAN', key('pipelines'), cursor, 'COUNT', PIPELINES_AT_ONCE)
  local gone = 0
  for _, pipeline in ipairs(scanned[2]) do
    gone = gone + prune_runs(pipeline, before, tonumber(keep), DELETED_AT_ONCE - gone)
    gone = gone + prune_decisions(pipeline, before, tonumber(keep), DELETED_AT_ONCE - gone)
    if gone >= DELETED_AT_ONCE then
      return {cursor, gone, 'more'}
    end
    if redis.call('EXISTS', key('started', pipeline), key('decided', pipeline)) == 0 then
      redis.call('SREM', key('pipelines'), pipeline)
    end
  end
  return {scanned[1], gone, scanned[1] == '0' and 'end' or 'more'}
end

function operations.prune_requests(before)
  local found = redis.call('ZRANGEBYSCORE', key('answered'), '-inf', '(' .. before, 'LIMIT', 0, DELETED_AT_ONCE)
  for _, number in ipairs(found) do
    redis.call('ZREM', key('answered'), number)
    redis.call('HDEL', key('requests'), number)
  end
  return #found
end

function operations.ask(token, value)
  return once(token, function()
    local number = text(redis.call('INCR', key('asked')))
    redis.call('HSET', key('requests'), number, value)
    redis.call('ZADD', key('open'), number, number)
    return number
  end)
end

function operations.requests()
  local found = {}
  for _, number in ipairs(redis.call('ZRANGE', key('open'), 0, LOOKED_AT_ONCE - 1)) do
    table.insert(found, number)
    table.insert(found, redis.call('HGET', key('requests'), number))
  end
  return found
end

function operations.request(number)
  return redis.call('HGET', key('requests'), number)
end

function operations.answer(number, answered, value)
  if redis.call('HEXISTS', key('requests'), number) == 0 then
    return 0
  end
  redis.call('HSET', key('requests'), number, value)
  redis.call('ZREM', key('open'), number)
  redis.call('ZREM', key('answered'), number)
  redis.call('ZADD', answered == '' and key('open') or key('answered'), answered == '' and number or answered, number)
  return 1
end

local function owner()
  local row = redis.call('HMGET', key('claim'), 'worker', 'until', 'value')
  if row[1] and tonumber(row[2]) > now() then
    return row[1], row[3]
  end
end

function operations.claim(worker, value, lasting)
  local holder, theirs = owner()
  if holder and holder ~= worker then
    return theirs
  end
  redis.call('HSET', key('claim'), 'worker', worker, 'until', text(now() + tonumber(lasting)), 'value', value)
  if ARGV[2] == '' then
    redis.call('PEXPIRE', key('claim'), math.ceil(tonumber(lasting) / 1000))
  end
  return false
end

function operations.release(worker)
  if redis.call('HGET', key('claim'), 'worker') == worker then
    redis.call('DEL', key('claim'))
  end
  return 1
end

function operations.claimed_by()
  local _, value = owner()
  return value or false
end

return operations[ARGV[1]](unpack(ARGV, 3, math.min(#ARGV, 8)))
