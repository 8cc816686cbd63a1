-- What wrk sends, and what it tells at the end (one line of JSON).
--
--   wrk ... -s load.lua URL -- THINK_MS events RUN BATCH [LATE]
--                                                          batches of BATCH events, or with 1 single event objects;
--                                                          every session and player is new. RUN: 8 hex digits, new ones;
--                                                          LATE percent of the starts are 10 minutes to a day old
--   wrk ... -s load.lua URL -- THINK_MS paths FILE [RUN]   the paths of FILE in turn; with RUN each under another port
--                                                          of the Host, so that no cache knows it
--
-- THINK_MS: 0 sends as fast as replies come; else each connection waits so long on average, exponentially distributed.

local COUNTRIES = { "US", "US", "US", "DE", "GB", "FI", "FR", "SE", "BR", "JP", "IN", "CA" }
local threads = {}
sent = 0

local function four_hex(n) return string.format("%04x", n) end

local function new_event(run, n, late)
  local session = table.concat({ run, four_hex(math.random(0, 65535)), "4" .. four_hex(math.random(0, 65535)):sub(2),
    "8" .. four_hex(math.random(0, 65535)):sub(2), string.format("%012x", n) }, "-")
  local player = string.format("%s%08x%08x%08x", run, math.random(0, 2 ^ 31 - 1), math.random(0, 2 ^ 31 - 1), n)
  local age = n % 2 == 1 and math.random(100) <= late and math.random(600, 86400) or 0
  local ts = os.date("!%Y-%m-%dT%H:%M:%S", os.time() - age) .. string.format(".%03dZ", math.random(0, 999))
  if n % 2 == 0 then
    return string.format('{"event":"end","player_id":"%s","session_id":"%s","ts":"%s"}', player, session, ts)
  end
  return string.format('{"event":"start","country":"%s","player_id":"%s","session_id":"%s","ts":"%s"}',
    COUNTRIES[math.random(#COUNTRIES)], player, session, ts)
end

local function events(run, batch, late)
  math.randomseed(tonumber(run, 16))
  batch, late = tonumber(batch), tonumber(late or 0)
  local n = 0
  local headers = { ["Content-Type"] = "application/json", ["Host"] = wrk.headers["Host"] }
  return function()
    local some = {}
    for i = 1, batch do
      n = n + 1
      some[i] = new_event(run, n, late)
    end
    local body = batch == 1 and some[1] or "[" .. table.concat(some, ",") .. "]"
    return wrk.format("POST", nil, headers, body)
  end
end

local function paths(file, run)
  local all, requests, n = {}, {}, 0
  for path in io.lines(file) do
    all[#all + 1] = path
    requests[#requests + 1] = wrk.format("GET", path)
  end
  return function()
    n = n + 1
    local index = (n - 1) % #all + 1
    if not run then return requests[index] end
    local port = 1024 + (tonumber(run, 16) + n) % 64000
    return wrk.format("GET", all[index], { ["Host"] = "127.0.0.1:" .. port })
  end
end

function setup(thread) threads[#threads + 1] = thread end

function init(args)
  local make = (args[2] == "events" and events or paths)(args[3], args[4], args[5])
  function request()
    sent = sent + 1
    return make()
  end
  local think_ms = tonumber(args[1])
  if think_ms > 0 then
    function delay() return math.floor(-think_ms * math.log(1 - math.random()) + 0.5) end
  end
end

function done(summary, latency, requests)
  local sent_by_all = 0
  for _, thread in ipairs(threads) do sent_by_all = sent_by_all + thread:get("sent") end
  local errors = summary.errors
  io.write(string.format(
    '\n{"sent":%d,"answered":%d,"refused":%d,"broken":%d,"seconds":%.6f,"p50_ms":%.3f,"p90_ms":%.3f,"p99_ms":%.3f}\n',
    sent_by_all, summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(90) / 1e3, latency:percentile(99) / 1e3))
end
