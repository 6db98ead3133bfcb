"""The API: melodies, MIDI, jobs and history, by requests as another program sends them."""

import asyncio
import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import Event

import mido
import numpy as np
import pytest
import uvicorn
from starlette.testclient import TestClient

from melodyconstraints.errors import ArtifactError, RuleError, StoreError, UsageError
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.melody.performance import Performance
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.rules import Rule, find_rule
from melodyconstraints.rules.loading import load_rule_file
from melodyconstraints.studio import app as app_module
from melodyconstraints.studio import code, jobs, server, training, uploads
from melodyconstraints.studio.app import create_app
from melodyconstraints.studio.engine import Engine, Models
from melodyconstraints.studio.jobs import Jobs
from melodyconstraints.studio.schemas import TrainRequest, Wish, melody_of, notes_of
from melodyconstraints.studio.sources import (
    actor_folder,
    find_source,
    rewarded,
    transforming_source,
)
from melodyconstraints.workflows import transform
from melodyconstraints.workflows.check_rule import check_rule
from melodyconstraints.workflows.generate import generate
from melodyconstraints.workflows.knobs import Knobs

PAGE = (Path(__file__).parents[2] / "docs" / "studio.md").read_text(encoding="utf-8")
TUNE = [[0, 4, 60], [4, 4, 61], [8, 8, 64], [16, 4, 66], [32, 16, 67]]
"""Of its five notes C, E and G are in C major."""


def test_without_rules_melodies_are_the_models_own(post, models):
    found = post("/generate", {"n": 2, "seed": 5})
    expected = [notes_of(melody) for melody in generate(models.model, 2, seed=5)]
    assert [one["notes"] for one in found["melodies"]] == expected
    assert found["rules"] == []
    assert found["melodies"][0]["satisfied"] is None


def test_a_scale_and_a_density_are_knobs_and_every_melody_has_both_rewards(post, models, wishes):
    found = post("/generate", {"rules": wishes("scale:D-dorian", "density:96"), "n": 3, "seed": 2})
    drawn = models.knobs.at("D-dorian", 96).generate(3, seed=2)
    assert [one["notes"] for one in found["melodies"]] == [notes_of(one) for one in drawn]
    rewards = np.array([one["rewards"] for one in found["melodies"]])
    assert rewards[:, 0] == pytest.approx(find_rule("scale:D-dorian")(drawn), abs=1e-6)
    assert found["pitch_classes"] == [0, 2, 4, 5, 7, 9, 11]
    assert (found["key"], found["drawn"]) == ("C", 3)


def test_other_rules_are_searched_for_and_one_of_weight_0_is_measured(post, wishes):
    rules = wishes("final-note:C,D,E,F,G,A", "density:0..1")
    rules[1]["weight"] = 0
    found = post("/generate", {"rules": rules, "n": 2, "seed": 4})
    assert all(one["satisfied"] for one in found["melodies"])
    assert all(one["rewards"][0] == 1 > one["rewards"][1] for one in found["melodies"])
    assert (found["drawn"] > 2, found["how"]) == (True, "no training")


@pytest.mark.parametrize(
    ("specs", "n", "start"),
    [
        (["scale:D-dorian"], 8, 40),  # its tonic is searched for
        (["scale:D-dorian"], 1, 16),
        (["cmajor", "density:64"], 8, 16),  # knobs satisfy both
    ],
)
def test_a_search_draws_more_at_first_than_it_evolves(settings, wishes, specs, n, start):
    model = StaffGenerator(StaffConfig(layers=1, flow_layers=2))
    asked = [Wish(**wish) for wish in wishes(*specs)]
    source = find_source(Models(model, Knobs(model)), asked, n, settings)
    assert source.actor.start == start


def test_kept_bars_are_equal_and_the_others_are_new(post):
    found = post("/reroll", {"melody": TUNE, "keep_bars": [1, 2], "n": 2, "seed": 3})
    for one in found["melodies"]:
        events = melody_of(one["notes"]).bars
        assert (events[:2] == melody_of(TUNE).bars[:2]).all()
        assert (events[2:] != melody_of(TUNE).bars[2:]).any()


def test_bars_that_a_rule_forbids_to_keep_are_refused(post, wishes):
    body = {"melody": TUNE, "keep_bars": [1], "n": 1, "rules": wishes("cmajor")}
    error = post("/reroll", body, 422)["error"]
    assert error.startswith(
        "bar 1, which stays, holds 1 note outside the set of cmajor; keep other"
    )


def test_a_score_is_the_rules_own_reward(post, wishes):
    rules = wishes("cmajor", "density:10", "density:5")
    found = post("/score", {"melodies": [TUNE, []], "rules": rules})["melodies"]
    assert [one["rewards"] for one in found] == [[0.6, 0.5, 1.0], [0.0, 0.0, 0.0]]
    assert [one["satisfied_rules"] for one in found] == [[False, False, True], [False] * 3]
    assert [one["satisfied"] for one in found] == [False, False]
    rules[0]["weight"] = rules[1]["weight"] = 0
    found = post("/score", {"melodies": [TUNE, []], "rules": rules})
    assert [one["satisfied"] for one in found["melodies"]] == [True, False]
    assert (found["key"], found["pitch_classes"]) == (None, None)


def test_whether_a_rule_is_satisfied_is_told_from_its_reward_before_it_is_rounded(some_melodies):
    (found,) = rewarded(some_melodies[:1], np.array([[1 - 1.2e-6, 1 - 0.8e-6]]), np.ones(2, bool))
    assert found["rewards"] == [0.999999, 0.999999]
    assert found["satisfied_rules"] == [False, True]


def test_an_interpolation_ends_where_the_reconstructions_are(post):
    ends = [TUNE, [[0, 8, 72]]]
    found = post("/interpolate", {"start": ends[0], "end": ends[1], "n": 3})["melodies"]
    assert len(found) == 3
    for end, notes in zip((found[0], found[2]), ends, strict=True):
        assert end == post("/reconstruct", {"melody": notes})["melodies"][0]


def test_what_is_no_json_is_said_so(client):
    header, bodies = {"Content-Type": "application/json"}, (b"{", b"", b"\xff")
    answers = [client.post("/rules", content=body, headers=header) for body in bodies]
    assert [answer.status_code for answer in answers] == [400] * 3
    assert [answer.json()["error"] for answer in answers[:2]] == ["the body is no JSON"] * 2


def test_text_that_is_no_unicode_is_refused(client):
    header = {"Content-Type": "application/json"}
    answer = client.post("/rules", content=b'{"rules": ["\\ud800"]}', headers=header)
    assert answer.status_code == 422
    assert "unable to parse raw data as a unicode string" in answer.json()["error"]


def test_names_of_rules_are_known_in_any_case(post):
    specs = ["Density:40", "NOT:Scale:D-dorian", "Novelty:tune.mid"]
    first, second, third = post("/rules", {"rules": specs})["rules"]
    assert (first["name"], second["name"]) == ("density:40", "not:scale:D-dorian")
    assert "there is no rule" in third["error"]


def test_streams_of_events_end_with_the_studio(tmp_path):
    jobs, done = Jobs(tmp_path), Event()
    job = jobs.start("train", "long", lambda _: done.wait())
    jobs.close()
    assert asyncio.run(_collected(jobs.events(job.id))) == []
    done.set()


def test_a_server_that_ends_ends_streams_before_connections(monkeypatch):
    done = []

    async def shutdown(self, sockets):
        done.append("connections")

    monkeypatch.setattr(uvicorn.Server, "shutdown", shutdown)
    own = server._Server(uvicorn.Config("app"), print, lambda: done.append("streams"))
    asyncio.run(own.shutdown())
    assert done == ["streams", "connections"]


async def _collected(stream):
    return [event async for event in stream]


def test_of_specifications_each_is_checked_for_itself(post):
    long, empty, good = post("/rules", {"rules": ["x" * 201, "", "cmajor"]})["rules"]
    assert long["error"] == "a rule has at most 200 characters here, this one 201"
    assert "there is no rule" in empty["error"]
    assert "error" not in good


def test_rules_are_listed_and_checked(client, post):
    listed = client.get("/rules").json()
    names = {row["name"] for row in listed["rules"]}
    assert {"scale", "contour", "not"} < names
    assert "novelty" not in names
    assert listed["scales"]["major"] == [0, 2, 4, 5, 7, 9, 11]
    good, bad = post("/rules", {"rules": ["Am", "density:many"]})["rules"]
    assert (good["name"], good["key"]) == ("Am", "Am")
    assert "for example density:192" in bad["error"]


def test_one_midi_file_has_a_track_for_each_melody_and_reads_back(client, tmp_path):
    body = {"melodies": [TUNE, TUNE[:2]], "tempo": 90, "key": "Am", "name": "../../My tune"}
    file = mido.MidiFile(file=io.BytesIO(client.post("/midi", json=body).content))
    assert [track.name for track in file.tracks[1:]] == ["My-tune-1", "My-tune-2"]
    assert [track[1].channel for track in file.tracks[1:]] == [0, 1]
    alone = client.post("/midi", json={**body, "melodies": [TUNE]}).content
    (tmp_path / "one.mid").write_bytes(alone)
    found = read_melody(tmp_path / "one.mid")
    assert (notes_of(found.melody), found.tempo) == (TUNE, pytest.approx(90))


def test_velocities_and_swing_are_those_of_the_command_line(client):
    notes = [[step, 1, 60 + step] for step in range(4)]
    body = {"melodies": [notes], "velocity": "shaped", "swing": 75, "seed": 5}
    track = mido.MidiFile(file=io.BytesIO(client.post("/midi", json=body).content)).tracks[1]
    onsets, now = [], 0
    for message in track:
        now += message.time
        onsets += [now] if message.type == "note_on" else []
    assert onsets == [0, 180, 360, 420]  # of 480 a quarter: its second eighth is a sixteenth
    expected = Performance("shaped", seed=5).velocities(np.arange(4)).tolist()
    assert [one.velocity for one in track if one.type == "note_on"] == expected


def test_a_zip_and_a_folder_have_a_file_for_each_melody_in_the_format(client, post, settings):
    body = {"melodies": [TUNE, TUNE], "name": "x", "format": "dawproject"}
    archive = zipfile.ZipFile(io.BytesIO(client.post("/zip", json=body).content))
    assert archive.namelist() == ["x-1.dawproject", "x-2.dawproject"]
    project = zipfile.ZipFile(io.BytesIO(archive.read("x-1.dawproject"))).read("project.xml")
    assert project.count(b"<Note ") == len(TUNE)
    saved = post("/save", {**body, "format": "mid"})
    assert saved["folder"] == str(settings.save_to)
    assert sorted(path.name for path in settings.save_to.iterdir()) == sorted(saved["files"])


@pytest.fixture
def in_this_process(monkeypatch):
    """Has what workers do done here, which is quick."""

    def supervise(handle, tasks, **_):
        return [handle(task, {}, lambda item: None) for task in tasks]

    for module in (uploads, code):
        monkeypatch.setattr(module, "supervise", supervise)


def test_a_midi_file_is_read_and_another_place_can_be_taken(client, tmp_path, in_this_process):
    write_melody(melody_of(TUNE), tmp_path / "tune.mid", tempo=96, name="Lead\x1b[31m")
    data = (tmp_path / "tune.mid").read_bytes()
    found = client.post("/melody", content=data).json()
    assert (found["notes"], found["tempo"], found["first_bar"]) == (TUNE, 96, 1)
    assert "\x1b" not in found["track"]
    later = client.post("/melody?bar=2", content=data).json()
    assert later["notes"][0] == [0, 4, 66]
    refused = client.post("/melody?track=Horn", content=data)
    assert refused.status_code == 422
    assert refused.json()["error"].startswith("the file has no track 'Horn'")


def test_a_worker_reads_an_upload_and_its_fault_is_an_answer(client):
    assert client.post("/melody", content=b"MThd\0\0\0\6").status_code == 422
    assert uploads._read(("x", None, None), {0: uploads.Fault.TIME}, len).endswith("took too long")


def test_a_transformation_is_a_job_whose_events_end_with_its_result(
    client, post, wishes, quick_search, monkeypatch
):
    monkeypatch.setattr(transform, "BANK_STEPS", 2)
    body = {"melody": TUNE, "rules": wishes("cmajor"), "keep_bars": [3], "variations": 2}
    job = post("/transform", body, 202)
    events = client.get(f"/jobs/{job['id']}/events").text
    assert events.count("event: progress") == 2
    end = json.loads(events.rpartition("data: ")[2])
    assert end["state"] == "done"
    assert end["result"]["before"] == TUNE
    assert len(end["result"]["melodies"]) == 2
    after = melody_of(end["result"]["melodies"][0]["notes"])
    assert (after.bars[2] == melody_of(TUNE).bars[2]).all()
    assert client.get("/jobs").json()["jobs"][0]["state"] == "done"


def test_a_transformation_to_a_scale_asks_what_python_does(settings, wishes):
    model = StaffGenerator(StaffConfig(layers=1, flow_layers=2))
    asked = [Wish(**wish) for wish in wishes("scale:D-dorian", "A-minor", "density:64")]
    actor, rules = transforming_source(Models(model, Knobs(model)), asked, settings)
    names = ["notes of D-dorian", "notes of A-minor", "density:64"]
    assert [rule.name for rule in rules] == names
    for rule, scale in zip(rules, ("D-dorian", "A-minor"), strict=False):
        assert rule.spec == transform.transforming(model, scale).rules[0].spec
    assert [rule.spec for rule in actor.rules] == [rule.spec for rule in rules]


def test_a_rule_of_weight_0_moves_no_knob(settings, wishes):
    model = StaffGenerator(StaffConfig(layers=1, flow_layers=2))
    asked = [Wish(**wish) for wish in wishes("density:180", "A-minor")]
    asked[0].weight = 0
    source = find_source(Models(model, Knobs(model)), asked, 2, settings)
    assert source.actor.actor.ranges == {}
    assert source.actor.scale == Knobs(model).at("A-minor").scale
    assert [rule.spec for rule in source.actor.rules] == ["density:180", "A-minor"]
    asked[1].weight = 0
    source = find_source(Models(model, Knobs(model)), asked, 2, settings)
    assert (source.actor.scale, source.actor.active_rules) == ((), [])


def test_variations_of_a_transformation_are_those_of_python(
    client, post, models, wishes, quick_search, monkeypatch
):
    monkeypatch.setattr(transform, "BANK_STEPS", 2)
    rules = wishes("final-note:C")
    job = post("/transform", {"melody": TUNE, "rules": rules, "variations": 3, "seed": 4}, 202)
    end = json.loads(client.get(f"/jobs/{job['id']}/events").text.rpartition("data: ")[2])
    actor = transform.transforming(models.model, rules=["final-note:C"])
    same = transform.transform(actor, melody_of(TUNE), variations=3, seed=4)
    found = [one["notes"] for one in end["result"]["melodies"]]
    assert found == [notes_of(one.melody) for one in same]


def test_a_transformation_without_a_search_says_so(client, post, wishes):
    job = post("/transform", {"melody": [[0, 8, 62]], "rules": wishes("cmajor")}, 202)
    end = json.loads(client.get(f"/jobs/{job['id']}/events").text.rpartition("data: ")[2])
    assert end["result"]["how"] == "no search was needed"


def test_a_rule_of_weight_0_does_not_count_in_a_transformation(client, post, wishes):
    rules = wishes("density:1", "density:200")
    rules[1]["weight"] = 0
    body = {"melody": TUNE, "rules": rules, "keep_bars": list(range(1, 17))}
    job = post("/transform", body, 202)
    end = json.loads(client.get(f"/jobs/{job['id']}/events").text.rpartition("data: ")[2])
    (melody,) = end["result"]["melodies"]
    assert melody["rewards"][1] < 0.5
    assert melody["satisfied"]


def test_a_training_reports_can_be_stopped_and_its_actor_is_used(
    post, models, settings, wishes, tiny_settings
):
    body = TrainRequest(rules=[Wish(spec="final-note:C", weight=2), Wish(spec="cmajor")])
    folder, reports = actor_folder(models.model, body.rules, None, settings), []
    start = partial(
        training.train, models.model, body, folder, settings, training_settings=tiny_settings
    )

    def report(event):
        reports.append(event)
        if len(reports) == 1:  # before the training, and before it holds its folder
            return
        with pytest.raises(StoreError, match="another process is at work in"):
            start(print, bool)

    result = start(report, lambda: len(reports) == 3)
    assert (result["rounds"], result["typical"], reports[-1]["typical"]) == (2, False, False)
    assert reports[-1]["progress"] == pytest.approx(2 / 3)
    assert reports[-1]["rules"] == ["cmajor", "final-note:C"]
    body = [{"spec": "cmajor"}, {"spec": "final-note:C", "weight": 2}]
    how = "an actor trained for this, cut short: the best of 8"
    assert post("/generate", {"rules": body, "n": 1})["how"] == how
    assert post("/generate", {"rules": body[:1], "n": 1})["how"] == "no training"
    assert (folder / "training-curves.png").is_file()


def test_a_training_whose_rule_fails_late_keeps_its_best_actor(
    post, models, settings, tiny_settings, monkeypatch
):
    body, reports = TrainRequest(rules=[Wish(spec="density:252")]), []

    def late(melodies):
        if len(reports) == 3:
            raise ValueError("too late")
        return find_rule("density:252")(melodies)

    broken = Rule("density:252", late, batched=True)
    monkeypatch.setattr(training, "find_wishes", lambda *_: [broken])
    folder = actor_folder(models.model, body.rules, None, settings)
    arguments = (models.model, body, folder, settings, reports.append, bool)
    with pytest.raises(RuleError, match=r"too late.*; the best actor of the rounds"):
        training.train(*arguments, training_settings=tiny_settings)
    how = post("/generate", {"rules": [{"spec": "density:252"}], "n": 1})["how"]
    assert how == "an actor trained for this, cut short: the best of 8"


@pytest.mark.usefixtures("full_disk")
def test_a_training_without_room_on_the_disk_is_not_begun(models, settings, tiny_settings):
    body, folder = TrainRequest(rules=[Wish(spec="cmajor")]), settings.actors / "new"
    with pytest.raises(UsageError, match=r"needs \d\.\d MB, and its disk has 0\.5 MB free"):
        training.train(
            models.model, body, folder, settings, print, bool, training_settings=tiny_settings
        )


def test_a_job_fails_in_words_and_one_of_a_kind_runs(post, client, wishes, monkeypatch):
    def work(job, *_):
        job.stop.wait(5)
        raise ArtifactError("no such model")

    monkeypatch.setattr(app_module, "train_in_process", work)
    job = post("/train", {"rules": wishes("cmajor")}, 202)
    assert "another job is running" in post("/train", {"rules": wishes("Am")}, 429)["error"]
    post(f"/jobs/{job['id']}/cancel", {})
    events = client.get(f"/jobs/{job['id']}/events").text
    assert json.loads(events.rpartition("data: ")[2])["error"] == "no such model"


def test_a_job_that_cannot_be_written_is_none_and_another_can_be_started(tmp_path, monkeypatch):
    jobs = Jobs(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(Jobs, "_write", lambda *_: (_ for _ in ()).throw(OSError(28, "no room")))
        with pytest.raises(OSError, match="no room"):
            jobs.start("train", "one", lambda _: None)
    assert jobs.start("train", "two", lambda _: None).title == "two"


def test_a_full_disk_is_an_answer_in_one_line(client, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Jobs, "_write", full)
    answer = client.post(
        "/transform", json={"melody": [[0, 8, 62]], "rules": [{"spec": "cmajor"}]}
    )
    assert answer.status_code == 507
    assert answer.json() == {"error": "the studio cannot write its files: No space left on device"}


def test_what_is_no_job_among_the_jobs_is_passed_over(tmp_path):
    (tmp_path / "odd.json").write_text('{"id": ["a"], "kind": "train", "title": "x"}')
    assert Jobs(tmp_path).start("train", "one", lambda _: None)


def test_a_job_of_a_killed_studio_was_cut_off(tmp_path):
    left = jobs.Job("a1", "train", "cmajor").summary()
    (tmp_path / "a1.json").write_text(json.dumps(left))
    (tmp_path / "other.json").write_text("{")
    (found,) = jobs.Jobs(tmp_path).list()
    assert (found["state"], found["title"]) == ("cut off", "cmajor")


def test_the_history_survives_and_its_states_can_be_changed(client, post, settings, models):
    state = {"title": "one", "melodies": [{"notes": TUNE}]}
    assert post("/history", state)["number"] == 1
    assert post("/history", {**state, "title": "two", "parent": 1})["number"] == 2
    client.put("/history/position", json={"number": 1})
    client.put("/history/1", json={**state, "starred": [0]})
    kept = settings.folder / "history"
    (kept / "000009.json").write_text("{}")
    for odd in ("1 (copy).json", "000002 copy.json", "٣.json"):
        shutil.copy(kept / "000001.json", kept / odd)
    again = TestClient(create_app(settings, Engine(lambda: models)), base_url=settings.address)
    found = again.get("/history").json()
    assert found["position"] == 1
    assert [(one["title"], one["starred"]) for one in found["states"]] == [
        ("one", True),
        ("two", False),
    ]
    assert again.get("/history/2").json()["parent"] == 1
    assert "no state 7" in again.get("/history/7").json()["error"]


def test_states_of_an_earlier_history_say_which_rules_are_satisfied(client, post):
    state = {"title": "one", "melodies": [{"notes": TUNE, "rewards": [0.9996, 1.0]}]}
    post("/history", state)
    (melody,) = client.get("/history/1").json()["melodies"]
    assert melody["satisfied_rules"] == [False, True]


def test_python_rules_need_leave_and_are_known_by_their_text(
    client, post, settings, models, wishes, in_this_process, monkeypatch
):
    text = "def high(melody):\n    return float(len(melody) and melody.pitches.mean() / 127)\n"
    assert "--allow-code" in post("/rules/code", {"text": text}, 422)["error"]
    assert (
        "--allow-code" in post("/score", {"melodies": [], "rules": wishes("code:0")}, 422)["error"]
    )
    object.__setattr__(settings, "allow_code", True)
    for spec in ("code:../../etc/passwd", "code:0123456789abcdef"):
        assert "there is no rule" in post("/rules", {"rules": [spec]})["rules"][0]["error"]
    monkeypatch.setattr("melodyconstraints.workflows.models.load_model", lambda: models.model)
    report = post("/rules/code", {"text": text})
    assert report["passed"]
    assert all(one["broken"] is None for one in report["contract"])
    same = check_rule(
        models.model, load_rule_file(f"{settings.rules}/{report['spec'][5:]}.py", None)
    )
    for name, spread in same.distributions.items():
        assert report["distributions"][name] == json.loads(json.dumps(asdict(spread)))
    assert report["verdict"] == same.verdict.text
    assert report["typicality_text"] == same.typicality_text
    assert same.typicality_text.startswith("An actor for it ")
    scored = post("/score", {"melodies": [TUNE], "rules": wishes(report["spec"])})
    assert scored["rules"] == ["high"]
    mean = Melody.from_notes([tuple(note) for note in TUNE]).pitches.mean()
    assert scored["melodies"][0]["rewards"][0] == pytest.approx(mean / 127, abs=1e-6)
    wrong = post("/rules/code", {"text": "import nothing_of_this_name"})
    assert not wrong["passed"]
    assert "does not import" in wrong["error"]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"n": 65}, "n: Input should be less than or equal to 64"),
        ({"n": True}, "n: Input should be a number, not true or false"),
        ({"temperature": False}, "temperature: Input should be a number, not true or false"),
        ({"rules": [{"spec": "scale:H-major"}]}, "for example scale:D-dorian"),
        ({"rules": [{"spec": "cmajor"}, {"spec": "cmajor"}]}, "each rule may be given once"),
        ({"sing": 1}, "sing: Extra inputs are not permitted"),
        ([], "Input should be a valid dictionary"),
    ],
)
def test_a_wrong_request_is_answered_in_one_line(post, body, text):
    assert text in post("/generate", body, 422)["error"]


@pytest.mark.parametrize("path", ["/transform", "/train"])
@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ([{"spec": "cmajor"}] * 2, "each rule may be given once"),
        ([{"spec": "cmajor", "weight": 0}], "every rule has weight 0"),
        ([{"spec": "fmajor!"}], "there is no rule"),
    ],
)
def test_no_job_is_begun_for_wrong_rules(post, client, path, rules, text):
    body = {"rules": rules} | ({"melody": TUNE} if path == "/transform" else {})
    assert text in post(path, body, 422)["error"]
    assert client.get("/jobs").json()["jobs"] == []


def test_no_job_is_begun_for_a_wrong_melody_or_form(post, client, wishes):
    beyond = {"melody": [[250, 20, 60]], "rules": wishes("cmajor")}
    expected = post("/reroll", {"melody": [[250, 20, 60]], "n": 1}, 422)["error"]
    assert post("/transform", beyond, 422)["error"] == expected
    error = post("/train", {"rules": wishes("cmajor"), "form": "AAB"}, 422)["error"]
    assert error.startswith("the letters of a form divide 16 bars evenly")
    assert client.get("/jobs").json()["jobs"] == []


def test_every_error_is_one_line_of_json(client):
    json_body = {"content-type": "application/json"}
    deep = client.post("/generate", content=b"[" * 100_000, headers=json_body)
    assert (deep.status_code, list(deep.json())) == (400, ["error"])
    other = client.request("DELETE", "/rules")
    assert (other.status_code, list(other.json())) == (405, ["error"])
    assert other.headers["allow"] == "GET"
    unknown = client.post("/generate", json={"k" * 100_000: 1})
    assert (unknown.status_code, len(unknown.json()["error"]) < 200) == (422, True)


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("format", "wav", "format: Input should be 'mid', 'dawproject' or 'musicxml'"),
        ("velocity", "loud", "velocity: Input should be 'flat' or 'shaped'"),
        ("swing", 76, "swing: Input should be less than or equal to 75"),
        ("swing", 20, "swing must be 0 (straight) or from 50 (straight) to 75 percent"),
        ("key", "H", "'H'"),
    ],
)
def test_a_wrong_export_is_refused_in_one_line(post, field, value, text):
    (error,) = post("/zip", {"melodies": [TUNE], field: value}, 422)["error"].splitlines()
    assert text in error


def test_a_score_is_music_xml_or_says_which_extra_is_missing(client, post, monkeypatch):
    pytest.importorskip("musicxml")
    body = {"melodies": [TUNE, []], "format": "musicxml"}
    answer = client.post("/midi", json=body)
    assert answer.headers["content-type"] == "application/vnd.recordare.musicxml+xml"
    assert (answer.text.count("<part "), answer.text.count("<step>F</step>")) == (2, 1)
    monkeypatch.setitem(sys.modules, "musicxml.xmlelement.xmlelement", None)
    error = post("/save", body, 422)["error"]
    assert error.endswith("install it with: pip install 'melodyconstraints[notation]'")


def test_a_note_beyond_the_sixteen_bars_is_refused(post):
    error = post("/reconstruct", {"melody": [[255, 2, 60]]}, 422)["error"]
    assert "within 256 steps" in error


def test_models_that_do_not_load_are_an_answer(settings):
    def fail():
        raise ArtifactError("the disk is gone")

    client = TestClient(create_app(settings, Engine(fail)), base_url=settings.address)
    assert "the disk is gone" in client.post("/generate", json={}).json()["error"]
    assert client.get("/status").json()["models"] == "failed"


def test_notes_are_a_melody_and_back(some_melodies):
    for melody in some_melodies:
        assert melody_of(notes_of(melody)) == melody
    assert len(Melodies.stack([melody_of([])])) == 1


# What the docs show


def test_every_request_of_the_docs_is_answered(client, quick_search, monkeypatch):
    monkeypatch.setattr(transform, "BANK_STEPS", 2)
    requests = re.findall(r"^curl \S+:8127(/\w+) --json '(.+?)'", PAGE, flags=re.MULTILINE)
    assert {"/generate", "/reroll", "/transform", "/midi"} <= {path for path, _ in requests}
    for path, body in requests:
        asked = json.loads(body)
        asked.pop("form", None)  # which the tiny model has none of
        response = client.post(path, json=asked)
        assert response.is_success, (path, response.text)
        if path == "/reroll":
            for one in response.json()["melodies"]:
                bars = melody_of(one["notes"]).bars
                for bar in asked["keep_bars"]:
                    assert (bars[bar - 1] == melody_of(asked["melody"]).bars[bar - 1]).all()
        if path == "/transform":
            events = client.get(f"/jobs/{response.json()['id']}/events").text
            end = json.loads(events.rpartition("data: ")[2])
            assert end["result"]["before"] == asked["melody"]


def test_every_route_of_the_docs_is_the_apps(client):
    paths = client.get("/openapi.json").json()["paths"]
    asked = {
        ("get", path.replace("$id", "{id}")) for path in re.findall(r"(/jobs/\S+)$", PAGE, re.M)
    }
    asked |= {("post", path) for path in re.findall(r"8127(/\w+) --(?:json|data)", PAGE)}
    for rest, method in [(PAGE.partition("| request")[2], m) for m in ("GET", "POST")]:
        for cell in re.findall(rf"`{method} (/.+?)`((?:, `/\w+`)*)", rest):
            asked |= {(method.lower(), path) for path in re.findall(r"/[\w/{}]+", " ".join(cell))}
    known = {(method, re.sub(r"{\w+}", "{id}", path)) for path in paths for method in paths[path]}
    assert len(asked) >= 12
    assert asked - known == set()


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
def test_the_pipelines_of_the_docs_give_a_file_of_two_tracks_and_a_job(
    client, quick_search, in_this_process, monkeypatch, tmp_path
):
    monkeypatch.setattr(transform, "BANK_STEPS", 2)
    write_melody(melody_of(TUNE), tmp_path / "song.mid")
    found = []
    for line in re.findall(
        r"^(?:id=\$\()?(curl .+ \| .+?)\)?$", re.sub(r"\|\n", "| ", PAGE), re.M
    ):
        data = (tmp_path / "song.mid").read_bytes()
        for words in map(shlex.split, re.split(r" \| +", line)):
            if words[0] == "jq":
                data = subprocess.run(words, input=data, stdout=-1, check=True).stdout
            else:
                (path,) = (word.partition(":8127")[2] for word in words if ":8127" in word)
                kind = {"Content-Type": "application/json"} if "--json" in words else None
                response = client.post(path, content=data, headers=kind)
                assert response.is_success, (line, response.text)
                data = response.content
        found.append(data)
    rerolled, job = found
    assert len(mido.MidiFile(file=io.BytesIO(rerolled)).tracks) == 3  # the first has the tempo
    assert client.get(f"/jobs/{job.decode().strip()}/events").is_success


@pytest.mark.parametrize("path", ["/reroll", "/transform"])
def test_bars_to_keep_are_a_list(post, wishes, path):
    body = {"melody": TUNE, "rules": wishes("cmajor"), "keep_bars": "1-4"}
    assert post(path, body, 422) == {"error": "keep_bars: Input should be a valid list"}
