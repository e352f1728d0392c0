-- What the store asks of Redis. Each call is one step that nobody sees half of, and bounded, so that nobody waits long.
--
-- KEYS[1] is the prefix; ARGV[1] the operation, ARGV[2] the moment or '' for the server's own, the rest its arguments.
-- P:format   the version of all this                 P:letter:ID        a hash: the letter's row, and its group
-- P:last     the greatest number ever given          P:uids             a hash: uid to number
-- P:groups   the set of groups: pipeline, stage and error type as one JSON list
-- P:leases   leased numbers by their lease's end
-- P:in:STATE, P:in:STATE:GROUP       numbers in their order; P:since:STATE:GROUP      numbers by their first failure

local FORMAT = 2
local STATES = {'dead', 'leased', 'replayed', 'parked', 'discarded'}
local SCANNED_AT_ONCE = 2000
local BYTES_AT_ONCE = 8 * 1024 * 1024

local prefix = KEYS[1]
local now = ARGV[2]
if now == '' then
  local time = redis.call('TIME')
  now = time[1] .. string.format('%06d', time[2])
end

local function key(...)
  return prefix .. ':' .. table.concat({...}, ':')
end

local function text(number)
  return string.format('%.0f', number)
end

local function indexes(state, group)
  return key('in', state), key('in', state, group), key('since', state, group)
end

local function enter(id, state, group, first_failed_at)
  local all, grouped, since = indexes(state, group)
  redis.call('ZADD', all, id, id)
  redis.call('ZADD', grouped, id, id)
  redis.call('ZADD', since, first_failed_at, id)
  redis.call('HSET', key('letter', id), 'state', state)
end

local function leave(id)
  local row = redis.call('HMGET', key('letter', id), 'state', 'group', 'first_failed_at')
  if row[1] and row[2] then
    for _, index in ipairs({indexes(row[1], row[2])}) do
      redis.call('ZREM', index, id)
    end
  end
  return row[2], row[3]
end

local function move(id, state)
  local group, first_failed_at = leave(id)
  if group then
    enter(id, state, group, first_failed_at)
  end
end

-- Ends the lease of a letter for good: its token holds it no more.
local function free(id)
  redis.call('HDEL', key('letter', id), 'lease_token', 'lease_until')
  redis.call('ZREM', key('leases'), id)
end

-- Letters whose lease is over are dead; their token may still resolve them, until somebody else takes them.
local function end_leases()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', key('leases'), '-inf', now)) do
    redis.call('ZREM', key('leases'), id)
    move(id, 'dead')
  end
end

local function is_held(id, token)
  return redis.call('HGET', key('letter', id), 'lease_token') == token
end

local function is_wanted_group(query, group)
  local names = cjson.decode(group)
  return (not query.pipeline_id or query.pipeline_id == names[1])
    and (not query.stage or query.stage == names[2])
    and (not query.error_type or query.error_type == names[3])
end

local function wanted_indexes(query)
  local found = {}
  if not (query.pipeline_id or query.stage or query.error_type) then
    for _, state in ipairs(query.states) do
      table.insert(found, key('in', state))
    end
    return found
  end
  for _, group in ipairs(redis.call('SMEMBERS', key('groups'))) do
    if is_wanted_group(query, group) then
      for _, state in ipairs(query.states) do
        table.insert(found, key('in', state, group))
      end
    end
  end
  return found
end

local function is_any_of(word, words)
  for _, one in ipairs(words) do
    if one == word then
      return true
    end
  end
  return false
end

local function is_match(query, id)
  local row = redis.call('HMGET', key('letter', id), 'state', 'group', 'run_id', 'first_failed_at', 'resolved_at')
  local since = tonumber(row[4] or '0')
  return row[1] and is_any_of(row[1], query.states)
    and is_wanted_group(query, row[2])
    and (not query.run_id or query.run_id == row[3])
    and (not query.since or since >= tonumber(query.since))
    and (not query['until'] or since < tonumber(query['until']))
    and (not query.resolved_before or (row[5] and tonumber(row[5]) < tonumber(query.resolved_before)))
end

-- The next numbers that may match, in their order, and where to go on, or '' at the end.
local function candidates(query)
  local after, most = tonumber(query.after_id), query.up_to_id and tonumber(query.up_to_id)
  local found = {}
  if query.ids then
    for _, id in ipairs(query.ids) do
      if id > after and (not most or id <= most) then
        table.insert(found, id)
      end
    end
  else
    for _, index in ipairs(wanted_indexes(query)) do
      local range = {'(' .. query.after_id, query.up_to_id or '+inf'}
      for _, id in ipairs(redis.call('ZRANGEBYSCORE', index, range[1], range[2], 'LIMIT', 0, SCANNED_AT_ONCE)) do
        table.insert(found, tonumber(id))
      end
    end
  end
  table.sort(found)
  -- Each index gave its first numbers, so the first ones of all of them are the first there are.
  return found, found[SCANNED_AT_ONCE] and text(found[SCANNED_AT_ONCE]) or ''
end

-- Calls *take* with each number that matches, up to *limit* of them or until it says that it has enough.
local function each_match(query, limit, take)
  local found, cursor = candidates(query)
  local taken = 0
  for place = 1, math.min(#found, SCANNED_AT_ONCE) do
    if taken == limit then
      return place == 1 and query.after_id or text(found[place - 1])
    end
    local id = text(found[place])
    if is_match(query, id) then
      taken = taken + 1
      if take(id) then
        return id
      end
    end
  end
  return cursor
end

local operations = {}

-- Keys of an older format become those of this one in this step, of which nobody sees half. From 1 to 2 none changes:
-- a letter without `agora_version` was kept by nobody knows which. But letters may have a fidelity from here on that
-- format 1 did not know, so that it must not open them any more. Returns the format that was found, or '0'.
function operations.open()
  local found = redis.call('GET', key('format')) or '0'
  if string.match(found, '^%d+$') and tonumber(found) < FORMAT then
    redis.call('SET', key('format'), text(FORMAT))
  end
  return {found, text(FORMAT)}
end

-- Each letter is the number of its fields with their values, and these.
function operations.keep()
  local place = 3
  while place <= #ARGV do
    local count, row, fields = tonumber(ARGV[place]), {}, {}
    for field = place + 1, place + count, 2 do
      row[ARGV[field]] = ARGV[field + 1]
      table.insert(fields, ARGV[field])
      table.insert(fields, ARGV[field + 1])
    end
    if redis.call('HEXISTS', key('uids'), row.uid) == 0 then
      local id = text(redis.call('INCR', key('last')))
      redis.call('HSET', key('uids'), row.uid, id)
      redis.call('HSET', key('letter', id), unpack(fields))
      redis.call('SADD', key('groups'), row.group)
      enter(id, row.state, row.group, row.first_failed_at)
      if row.state == 'leased' then
        redis.call('ZADD', key('leases'), row.lease_until, id)
      end
    end
    place = place + count + 1
  end
end

function operations.find(query, limit, columns)
  columns = cjson.decode(columns)
  local answer, bytes = {''}, 0
  answer[1] = each_match(cjson.decode(query), tonumber(limit), function(id)
    local letter = key('letter', id)
    local row = redis.call('HMGET', letter, unpack(columns))
    row[#columns + 1] = id
    table.insert(answer, row)
    bytes = bytes + redis.call('HSTRLEN', letter, 'record') + redis.call('HSTRLEN', letter, 'origin')
    return bytes >= BYTES_AT_ONCE
  end)
  return answer
end

function operations.count(query)
  query = cjson.decode(query)
  local count = 0
  if not (query.ids or query.run_id or query.since or query['until'] or query.resolved_before) then
    for _, index in ipairs(wanted_indexes(query)) do
      count = count + redis.call('ZCOUNT', index, '(' .. query.after_id, query.up_to_id or '+inf')
    end
    return {'', count}
  end
  local cursor = each_match(query, SCANNED_AT_ONCE + 1, function()
    count = count + 1
  end)
  return {cursor, count}
end

function operations.stats()
  local answer = {}
  for _, group in ipairs(redis.call('SMEMBERS', key('groups'))) do
    for _, state in ipairs(STATES) do
      local since = key('since', state, group)
      local count = redis.call('ZCARD', since)
      if count > 0 then
        local oldest, newest = redis.call('ZRANGE', since, 0, 0)[1], redis.call('ZRANGE', since, -1, -1)[1]
        table.insert(answer, {
          group, state, count,
          redis.call('HGET', key('letter', oldest), 'first_failed_at'),
          redis.call('HGET', key('letter', newest), 'first_failed_at'),
        })
      end
    end
  end
  return answer
end

-- What the unresolved letters among the next ones have been through, by pipeline and fidelity.
function operations.tallies(query)
  local groups, answer = {}, {}
  local cursor = each_match(cjson.decode(query), SCANNED_AT_ONCE + 1, function(id)
    local letter = key('letter', id)
    local row = redis.call('HMGET', letter, 'pipeline_id', 'fidelity', 'attempts', 'state', 'lease_until')
    local name = cjson.encode({row[1], row[2]})
    local group = groups[name] or {row[1], row[2], 0, 0, 0, 0}
    groups[name] = group
    group[3] = group[3] + 1
    group[4] = group[4] + tonumber(row[3])
    group[5] = group[5] + (redis.call('HSTRLEN', letter, 'attempts_log') > 2 and 1 or 0)  -- more than '[]'
    group[6] = group[6] + (row[4] == 'dead' and row[5] and 1 or 0)  -- whose lease ended by itself
  end)
  for _, group in pairs(groups) do
    table.insert(answer, group)
  end
  return {cursor, answer}
end

function operations.last()
  local last = 0
  for _, state in ipairs(STATES) do
    last = math.max(last, tonumber(redis.call('ZREVRANGE', key('in', state), 0, 0)[1] or 0))
  end
  return last
end

-- Each letter with how often it was tried; whoever leases letters has found them before.
function operations.lease(query, limit, token, lasting)
  local over, answer = text(tonumber(now) + tonumber(lasting)), {''}
  answer[1] = each_match(cjson.decode(query), tonumber(limit), function(id)
    move(id, 'leased')
    redis.call('HSET', key('letter', id), 'lease_token', token, 'lease_until', over)
    redis.call('ZADD', key('leases'), over, id)
    table.insert(answer, {id, redis.call('HINCRBY', key('letter', id), 'attempts', 1)})
  end)
  return answer
end

function operations.resolve(ids, token, state, run_id)
  local moved = 0
  for _, number in ipairs(cjson.decode(ids)) do
    local id = text(number)
    if is_held(id, token) then
      free(id)
      move(id, state)
      if state == 'replayed' then
        redis.call('HSET', key('letter', id), 'resolved_at', now, 'replayed_run_id', run_id)
      end
      moved = moved + 1
    end
  end
  return moved
end

-- The logs of the letters that the token holds.
function operations.held(ids, token)
  local answer = {}
  for _, number in ipairs(cjson.decode(ids)) do
    local id = text(number)
    if is_held(id, token) then
      table.insert(answer, {id, redis.call('HGET', key('letter', id), 'attempts_log')})
    end
  end
  return answer
end

-- Pairs of a number and its new log, or '' where it was not tried.
function operations.give_back(token)
  local given = 0
  for place = 4, #ARGV, 2 do
    local id, failures = ARGV[place], ARGV[place + 1]
    if is_held(id, token) then
      free(id)
      move(id, 'dead')
      if failures == '' then
        redis.call('HINCRBY', key('letter', id), 'attempts', -1)
      else
        redis.call('HSET', key('letter', id), 'attempts_log', failures, 'last_failed_at', now)
      end
      given = given + 1
    end
  end
  return given
end

function operations.move(query, state, note)
  local moved = 0
  local cursor = each_match(cjson.decode(query), SCANNED_AT_ONCE + 1, function(id)
    free(id)
    move(id, state)
    if state == 'discarded' then
      redis.call('HSET', key('letter', id), 'resolved_at', now)
    else
      redis.call('HDEL', key('letter', id), 'resolved_at')
    end
    if note ~= '' then
      redis.call('HSET', key('letter', id), 'note', note)
    end
    moved = moved + 1
  end)
  return {cursor, moved}
end

function operations.purge(query)
  local purged = 0
  local cursor = each_match(cjson.decode(query), SCANNED_AT_ONCE + 1, function(id)
    leave(id)
    redis.call('HDEL', key('uids'), redis.call('HGET', key('letter', id), 'uid'))
    redis.call('DEL', key('letter', id))
    purged = purged + 1
  end)
  return {cursor, purged}
end

if ARGV[1] ~= 'open' then  -- which is told of no moment
  end_leases()
end
return operations[ARGV[1]](unpack(ARGV, 3, math.min(#ARGV, 9)))
