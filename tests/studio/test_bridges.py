"""The bridges send what the API takes and read what it answers, run in Lua and in Node."""

import json
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from lupa import LuaRuntime

from melodyconstraints.rules.scales import SCALES

BRIDGES = Path(__file__).parents[2] / "bridges"
SCRIPT = (BRIDGES / "reaper.lua").read_text(encoding="utf-8")
BODY = re.search(r"local BODY = '(.+)'", SCRIPT)[1] % ("A-minor", 48, "none", 1)
REAPER = """
reaper = {
  GetUserInputs = function() return true, "A-minor,48,none,1" end,
  ExecProcess = function() return "0\\n" .. answer end,
  GetSelectedTrack = function() return {} end, GetCursorPosition = function() return 2 end,
  TimeMap2_timeToQN = function(_, time) return time end,
  TimeMap2_QNToTime = function(_, quarter) return quarter end,
  CreateNewMIDIItemInProj = function(_, from, to) item = {from, to} return {} end,
  GetActiveTake = function() return {} end,
  MIDI_GetPPQPosFromProjQN = function(_, quarter) return quarter end,
  MIDI_InsertNote = function(_, _, _, from, to, _, pitch)
    table.insert(notes, {from, to, pitch})
  end,
  MIDI_Sort = function() end, Undo_BeginBlock = function() end, Undo_EndBlock = function() end,
  ShowMessageBox = function(text) message = text end,
}
notes = {}
"""


def reaper(answer):
    """Lua's globals after the script has run in a REAPER whose curl gives this answer."""
    lua = LuaRuntime()
    lua.globals().answer = answer
    lua.execute(REAPER + SCRIPT)
    return lua.globals()


def test_the_script_of_reaper_inserts_the_studios_melody_at_the_cursor(client):
    # The tiny model of these tests draws in no form.
    body = BODY.replace('"form": "none", ', "")
    assert body != BODY
    answer = client.post("/generate", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    notes = answer.json()["melodies"][0]["notes"]
    project = reaper(answer.text)
    assert list(project.item.values()) == [2, 66]
    inserted = [list(note.values()) for note in project.notes.values()]
    assert inserted == [[2 + on / 4, 2 + (on + length) / 4, pitch] for on, length, pitch in notes]
    assert project.message is None


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ("", "The studio does not answer: start mc studio."),
        ('{"error": "no such scale"}', "no such scale"),
    ],
)
def test_the_script_of_reaper_says_what_went_wrong(answer, line):
    project = reaper(answer)
    assert (project.message, len(project.notes)) == (line, 0)


DEVICE = BRIDGES / "max-for-live" / "melodyconstraints.js"
PATCH = json.loads(DEVICE.with_suffix(".maxpat").read_text(encoding="utf-8"))["patcher"]
BOXES = {each["box"]["id"]: each["box"] for each in PATCH["boxes"]}
LINES = [each["patchline"] for each in PATCH["lines"]]
LIVE = """
const { script, context, wishes, answer } = JSON.parse(require("fs").readFileSync(0));
const dicts = { context, notes: { notes: [] } }, sent = [], out = [];
let request;
const max = {
  inlet: 0,
  Dict: class {
    constructor(name) { this.name = name || "u" + Object.keys(dicts).length; }
    stringify() { return JSON.stringify(dicts[this.name]); }
    parse(text) { dicts[this.name] = JSON.parse(text); }
  },
  Task: class {
    constructor(run) { this.run = run; }
    cancel() { this.run.waits = false; }
    schedule() { this.run.waits = true; }
  },
  XMLHttpRequest: class {
    open(...to) { this.to = to; }
    setRequestHeader(...header) { this.header = header; }
    send(body) { request = this; sent.push([...this.to, ...this.header, body]); }
  },
  outlet: (...what) => {
    if (what[1] === "dictionary") what[1] = dicts[what.pop()];
    out.push(what);
    if (what[0] === 1) asks();
  },
};
function asks() {  // as live.miditool.in does
  max.inlet = 1; max.dictionary("context"); max.inlet = 0; max.dictionary("notes");
}
require("vm").runInNewContext(script, max);
for (const [name, value] of wishes) max[name](value);
if (max.ask.waits) max.ask();
asks();
if (answer !== null) {
  request.readyState = 4; request.responseText = answer; request.onreadystatechange();
}
console.log(JSON.stringify({ sent, out }));
"""


def node() -> str | None:
    """The program, or that of Playwright."""
    found = shutil.which("node")
    if found is None:
        playwright = pytest.importorskip("playwright", reason="no Node to run the script")
        found = str(Path(playwright.__file__).parent / "driver" / "node")
    return found


def live(wishes, context, answer=None):
    """What the device sends, and what leaves its outlets, in a Live that asks for notes."""
    told = {"script": DEVICE.read_text(), "wishes": wishes, "context": context, "answer": answer}
    done = subprocess.run(
        [node(), "-e", LIVE], input=json.dumps(told), text=True, capture_output=True, check=True
    )
    return json.loads(done.stdout)


def test_the_device_of_live_places_the_studios_melody_in_the_selection(client):
    context = {"clip": {"time_selection_start": 4, "time_selection_end": 36}}
    wishes = [("tonic", "A"), ("scale", "minor"), ("notes", 40), ("seed", 7)]
    method, address, *header, body = live(wishes, context)["sent"][-1]
    assert (method, address) == ("POST", "http://127.0.0.1:8127/generate")
    rules = [{"spec": "scale:A-minor"}, {"spec": "density:40"}]
    assert json.loads(body) == {"rules": rules, "n": 1, "seed": 7}
    answer = client.post("/generate", content=body, headers=dict([header]))
    assert answer.status_code == 200
    seen = live(wishes, context, answer.text)["out"]
    empty, bang, filled = [each for each in seen if each[0] < 2]
    assert empty == [0, {"notes": []}]  # there is no melody yet, and Live must have its answer
    assert bang == [1, "bang"]
    notes = answer.json()["melodies"][0]["notes"]
    inside = [note for note in notes if note[0] < 128]
    assert len(inside) < len(notes)
    for placed, (onset, duration, pitch) in zip(filled[1]["notes"], inside, strict=True):
        assert placed["pitch"] == pitch
        assert placed["start_time"] == 4 + onset / 4
        assert placed["duration"] == min(duration, 128 - onset) / 4
    assert [2, "set", f"{len(notes)} notes in A-minor, seed 7"] in seen


def test_the_device_takes_the_clips_scale(client):
    context = {"scale": {"root_note": 2, "scale_intervals": [0, 2, 3, 5, 7, 9, 10]}}
    body = json.loads(live([], context)["sent"][-1][-1])
    assert body["rules"][0] == {"spec": "scale:D-dorian"}


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        ("", "The studio does not answer: start mc studio."),
        ('{"error": "no such scale"}', "no such scale"),
        ("{}", "The studio's answer has no melody."),
    ],
)
def test_the_device_says_what_went_wrong_and_does_not_ask_live_again(answer, line):
    seen = live([], {}, answer)["out"]
    assert seen[-1] == [2, "set", line]
    assert [1, "bang"] not in seen


def test_the_devices_scales_are_the_rules(client):
    listed = re.search(r"var SCALES = ({.+?});", DEVICE.read_text(), re.DOTALL)[1]
    scales = json.loads(listed)
    assert scales == {name: list(SCALES[name]) for name in scales}
    offered = BOXES["scale"]["saved_attribute_attributes"]["valueof"]["parameter_enum"]
    assert offered == ["of the clip", *scales]


def test_the_patch_is_wired_from_live_through_the_script_and_back():
    wired = {(*line["source"], *line["destination"]) for line in LINES}
    assert len(wired) == len(PATCH["lines"])
    for source, outlet, target, inlet in wired:
        assert 0 <= outlet < BOXES[source]["numoutlets"]
        assert 0 <= inlet < BOXES[target]["numinlets"]
    assert {("in", 0, "script", 0), ("in", 1, "script", 1)} <= wired
    assert {("script", 0, "out", 0), ("script", 1, "in", 0)} <= wired
    shown = sorted(
        box["presentation_rect"] for box in BOXES.values() if "presentation_rect" in box
    )
    assert all(one != other for one, other in pairwise(shown))
