"""The bridges send what the API takes and read what it answers; in Lua, where there is one."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = (Path(__file__).parents[2] / "bridges" / "reaper.lua").read_text(encoding="utf-8")
BODY = re.search(r"local BODY = '(.+)'", SCRIPT)[1] % ("A-minor", 48, "none", 1)
LUA = next(filter(None, map(shutil.which, ("lua", "lua5.4", "lua5.3"))), None)
REAPER = """
reaper = {
  GetUserInputs = function() return true, "A-minor,48,none,1" end,
  ExecProcess = function() return "0\\n" .. io.read("a") end,
  GetSelectedTrack = function() return {} end, GetCursorPosition = function() return 2 end,
  TimeMap2_timeToQN = function(_, time) return time end,
  TimeMap2_QNToTime = function(_, quarter) return quarter end,
  CreateNewMIDIItemInProj = function(_, from, to) print(from, to) return {} end,
  GetActiveTake = function() return {} end,
  MIDI_GetPPQPosFromProjQN = function(_, quarter) return quarter end,
  MIDI_InsertNote = function(_, _, _, from, to, _, pitch) print(from, to, pitch) end,
  MIDI_Sort = print, Undo_BeginBlock = print, Undo_EndBlock = print, ShowMessageBox = print,
}
"""


def test_the_answer_to_reapers_request_has_the_notes_that_it_looks_for(client, tmp_path):
    # The tiny model of these tests draws in no form.
    body = BODY.replace('"form": "none", ', "")
    assert body != BODY
    answer = client.post("/generate", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    notes = answer.json()["melodies"][0]["notes"]
    if LUA is None:
        pytest.skip("no Lua to run the script: apt-get install lua5.4")
    (tmp_path / "script.lua").write_text(REAPER + SCRIPT)
    done = subprocess.run(
        [LUA, "script.lua"],
        cwd=tmp_path,
        input=answer.text,
        text=True,
        capture_output=True,
        check=True,
    )
    lines = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    assert [float(number) for number in lines[0]] == [2, 66]
    inserted = [[float(number) for number in line] for line in lines[1 : len(notes) + 1]]
    assert inserted == [[2 + on / 4, 2 + (on + length) / 4, pitch] for on, length, pitch in notes]
