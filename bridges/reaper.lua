-- REAPER: a melody of melodyconstraints on the selected track, at the edit cursor.
--
-- Start `mc studio`, then run this from Actions > Load ReaScript. It asks for a scale, a least
-- number of notes, a form and a seed; all four may be left as they are. It needs curl, which comes
-- with Windows 10 and later, macOS and most Linux systems.

local ADDRESS = "http://127.0.0.1:8127"
local BODY = '{"rules": [{"spec": "scale:%s"}, {"spec": "density:%d"}], "form": "%s", "n": 1, "seed": %d}'
local STEPS_PER_QUARTER, QUARTERS, VELOCITY, TIMEOUT = 4, 64, 96, 30000

local function post(path, body)
  local name = os.tmpname()
  local file = assert(io.open(name, "w"))
  file:write(body)
  file:close()
  local answer = reaper.ExecProcess(
    'curl -s -H "content-type: application/json" --data-binary "@' .. name .. '" ' .. ADDRESS .. path, TIMEOUT)
  os.remove(name)
  return answer and answer:match("^%d+\n(.*)$") or ""  -- the first line is curl's exit code
end

local function wishes()
  local ok, line = reaper.GetUserInputs("melodyconstraints", 4,
    "Scale,At least so many notes,Form,Seed", "A-minor,48,AABA,1")
  if not ok then return nil end
  local scale, density, form, seed = line:match("^([%w#%-]+),(%d+),([%a']+),(%d+)$")
  if not scale then return nil, "Write a scale such as A-minor, two numbers and a form such as AABA." end
  return BODY:format(scale, tonumber(density), form, tonumber(seed))
end

local function insert(notes)
  local track = reaper.GetSelectedTrack(0, 0)
  if not track then return "Select a track first." end
  local first = reaper.TimeMap2_timeToQN(0, reaper.GetCursorPosition())
  local function seconds(quarter) return reaper.TimeMap2_QNToTime(0, first + quarter) end
  local item = reaper.CreateNewMIDIItemInProj(track, seconds(0), seconds(QUARTERS))
  local take = reaper.GetActiveTake(item)
  local function ppq(step) return reaper.MIDI_GetPPQPosFromProjQN(take, first + step / STEPS_PER_QUARTER) end
  for onset, duration, pitch in notes:gmatch("%[(%d+),%s*(%d+),%s*(%d+)%]") do
    reaper.MIDI_InsertNote(take, false, false, ppq(onset), ppq(onset + duration), 0, tonumber(pitch), VELOCITY, true)
  end
  reaper.MIDI_Sort(take)
end

local function run()
  local body, problem = wishes()
  if not body then return problem end
  local answer = post("/generate", body)
  local notes = answer:match('"notes":%s*(%[%[.-%]%])')
  if not notes then return answer:match('"error":%s*"(.-)"}') or "The studio does not answer: start mc studio." end
  return insert(notes)
end

reaper.Undo_BeginBlock()
local problem = run()
reaper.Undo_EndBlock("melodyconstraints: insert a melody", -1)
if problem then reaper.ShowMessageBox(problem, "melodyconstraints", 0) end
