"""``mc generate``: MIDI files that say what the manifest says."""

import errno
import json
import re
import shutil
import signal
import sys
import wave
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.melody import plots
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.midi import musicxml
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.melody.midi.writing import to_midi_file
from melodyconstraints.melody.performance import Performance
from melodyconstraints.melody.sound import sample_count
from melodyconstraints.melody.vae import sampler
from melodyconstraints.melody.vae.model import HierarchicalVAE
from melodyconstraints.rules import find_rule
from melodyconstraints.workflows import conditional as knobs_module
from melodyconstraints.workflows import search
from melodyconstraints.workflows import train_actor as train_module
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.conditional import (
    FOLDER_OF_KNOBS,
    load_knobs,
    save_knobs,
    train_knobs,
)
from melodyconstraints.workflows.generate import generate as draw
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import (
    DEFAULT_NAME,
    PACKAGED,
    load_model,
    save_model,
)
from melodyconstraints.workflows.search import MelodySearchInterrupted, SearchActor

ANY = ("--allow-none",)
"""The tiny models satisfy few rules, which is no matter here."""


@pytest.fixture
def generate(mc, tiny_actor_folder):
    """Draws with the tiny actor."""
    return lambda *options: mc("generate", "--actor", tiny_actor_folder, *ANY, *options)


@pytest.fixture
def generate_for(mc, tiny_model_folder, quick_recipe):
    """Draws on the tiny model with rules."""
    return lambda *options: mc("generate", "--model", tiny_model_folder, *ANY, *options)


def manifest_of(folder) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def messages(path, kind: str) -> list:
    return [
        message
        for track in mido.MidiFile(path).tracks
        for message in track
        if message.type == kind
    ]


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_note_of_every_file_is_in_the_manifest(generate, tiny_actor_folder, tmp_path):
    result = generate("-n", 3, "--seed", 5)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "3 MIDI files in out; beside them manifest.json\n" in result.stderr
    manifest = manifest_of(tmp_path / "out")
    files = sorted(path.name for path in (tmp_path / "out").glob("*.mid"))
    assert files == [entry["file"] for entry in manifest["melodies"]]
    assert files == ["melody-001.mid", "melody-002.mid", "melody-003.mid"]
    expected = load_actor(tiny_actor_folder).generate(3, seed=5)
    for entry, melody in zip(manifest["melodies"], expected, strict=True):
        path = tmp_path / "out" / entry["file"]
        starts = [m for m in messages(path, "note_on") if m.velocity]
        assert len(starts) == entry["notes"] == len(melody)
        assert [m.note for m in starts] == melody.pitches.tolist()
        assert read_melody(path).melody == melody
        white = np.isin(melody.pitch_classes, [0, 2, 4, 5, 7, 9, 11]).mean()
        assert entry["rewards"] == pytest.approx(
            {"cmajor": white, "density:252": min(len(melody) / 252, 1)}
        )
        assert entry["satisfied"] == (min(entry["rewards"].values()) == 1)


def test_seeds_are_those_of_python_by_default(
    generate, generate_for, tiny_model_folder, tiny_actor_folder, tmp_path
):
    generate_for("-n", 2, "-o", "prior")
    generate("-n", 2, "-o", "actor")
    for folder, expected in (
        ("prior", draw(load_model(tiny_model_folder), 2)),
        ("actor", load_actor(tiny_actor_folder).generate(2)),
    ):
        for path, melody in zip(sorted((tmp_path / folder).glob("*.mid")), expected, strict=True):
            assert read_melody(path).melody == melody


def test_the_manifest_says_how_the_melodies_were_made(generate, tiny_model_folder, tmp_path):
    generate("-n", 1, "--tempo", 96, "--program", 40, "--temperature", 0.25, "--seed", 7)
    manifest = manifest_of(tmp_path / "out")
    del manifest["melodies"]
    assert manifest == {
        "model": load_model(tiny_model_folder).fingerprint,
        "rules": ["cmajor", "density:252"],
        "seed": 7,
        "temperature": 0.25,
        "top_k": None,
        "top_p": None,
        "form": "auto",
        "scale": [],
        "rhythm": "",
        "tempo": 96.0,
        "program": 40,
        "formats": [],
        "velocity": "flat",
        "swing": 50.0,
        "wav": False,
        "beside": [],
        "drawn": 1,
        "key_signature": "C",
        "chords": [],
        "like": None,
        "interrupted": False,
    }


def test_without_rules_melodies_come_from_the_prior(generate_for, tiny_model_folder, tmp_path):
    result = generate_for("-n", 2, "--seed", 3)
    assert (result.exit_code, result.stdout) == (0, "")
    manifest = manifest_of(tmp_path / "out")
    assert (manifest["rules"], manifest["key_signature"], manifest["temperature"]) == (
        [],
        None,
        0.5,
    )
    expected = draw(load_model(tiny_model_folder), 2, seed=3)
    for entry, melody in zip(manifest["melodies"], expected, strict=True):
        assert read_melody(tmp_path / "out" / entry["file"]).melody == melody
        assert entry == {"file": entry["file"], "notes": len(melody), "rewards": {}}


def test_a_bar_counts_the_melodies_that_are_drawn(generate, generate_for, bars_ended, tmp_path):
    told = "3 MIDI files in out; beside them manifest.json\n"
    assert generate_for("-n", 3).stderr == told  # of so short a run the bar leaves nothing
    generate("-n", 4, "-o", "of-an-actor")
    generate_for("-n", 5, "--like", tmp_path / "out", "-o", "like")
    assert bars_ended == [(3, 3, ""), (4, 4, ""), (5, 5, "")]
    assert manifest_of(tmp_path / "of-an-actor")["drawn"] == 4
    assert manifest_of(tmp_path / "like")["drawn"] == 5


def test_only_the_likeliest_event_is_left_by_top_k_one(generate, tiny_actor_folder, tmp_path):
    generate("-n", 2, "--top-k", 1, "--temperature", 1)
    generate("-n", 2, "--top-p", 1e-9, "--temperature", 1, "-o", "nucleus")
    expected = load_actor(tiny_actor_folder).generate(2, seed=1, temperature=0)
    for folder in ("out", "nucleus"):
        for number, melody in enumerate(expected, 1):
            path = tmp_path / folder / f"melody-{number:03d}.mid"
            assert read_melody(path).melody == melody
    assert manifest_of(tmp_path / "out")["top_k"] == 1


def test_tempo_program_key_and_name_reach_the_file(generate, tmp_path):
    generate("-n", 1, "--tempo", 96, "--program", 40, "-o", "songs")
    path = tmp_path / "songs" / "melody-001.mid"
    assert [m.tempo for m in messages(path, "set_tempo")] == [mido.bpm2tempo(96)]
    assert [m.program for m in messages(path, "program_change")] == [40]
    assert [m.key for m in messages(path, "key_signature")] == ["C"]
    assert [m.name for m in messages(path, "track_name")] == ["melody-001"]
    assert [(m.numerator, m.denominator) for m in messages(path, "time_signature")] == [(4, 4)]


def test_the_same_seed_writes_the_same_bytes(generate, tmp_path):
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        generate("-n", 2, "--seed", seed, "-o", folder)
    first, again, other = (contents(tmp_path / folder) for folder in "abc")
    assert first == again
    assert first["melody-001.mid"] != other["melody-001.mid"]


def test_the_default_temperature_is_that_of_the_actor(generate, tmp_path):
    generate("-n", 1)
    assert manifest_of(tmp_path / "out")["temperature"] == 0.5


def test_rules_are_searched_for_as_in_python(generate_for, tiny_model_folder, tmp_path):
    result = generate_for(
        "--rule", "pitch-classes:0,1,2,3,4,5,6,7,8,9,10", "--rule", "density:240", "-n", 2,
        "--seed", 6, "--temperature", 0.8,
    )  # fmt: skip
    assert result.exit_code == 0
    rules = ["pitch-classes:0,1,2,3,4,5,6,7,8,9,10", "density:240"]
    expected = draw(load_model(tiny_model_folder), 2, rules, seed=6, temperature=0.8)
    for number, melody in enumerate(expected, 1):
        assert read_melody(tmp_path / "out" / f"melody-{number:03d}.mid").melody == melody
    manifest = manifest_of(tmp_path / "out")
    assert manifest["temperature"] == 0.8
    assert manifest["drawn"] > 2


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("bundled", {"density": 96}),
        ("bundled", {"scale": "C-major", "density": 60}),
        ("staff", {"scale": "C-major", "density": 60}),
        ("staff", {"scale": "A,B,C,E,F", "rules": ["final-note:E"]}),
    ],
)
@pytest.mark.usefixtures("few_draws")
def test_knobs_are_turned_as_in_python(mc, model, settings, tmp_path):
    out = tmp_path / "out"
    rules = [word for rule in settings.get("rules", []) for word in ("--rule", rule)]
    knobs = [
        word for name in settings.keys() - {"rules"} for word in (f"--{name}", settings[name])
    ]
    asked = ("--model", model, *knobs, *rules, "-n", 2, "--seed", 4)
    done = mc("generate", *asked, "-o", out)
    assert done.exit_code == 0, done.output
    expected = draw(load_model(model), 2, **settings, seed=4)
    for number, melody in enumerate(expected, 1):
        assert read_melody(out / f"melody-{number:03d}.mid").melody == melody


@pytest.mark.parametrize("only", [(), ("--only-satisfying",)])
def test_a_search_that_is_stopped_writes_what_it_has_found(
    generate_for, tmp_path, monkeypatch, only
):
    own = SearchActor._evolve

    def stopped(actor, *arguments, **options):
        def stop(satisfied, drawn):
            if satisfied:
                raise KeyboardInterrupt

        return own(replace(actor, callback=stop), *arguments, **options)

    monkeypatch.setattr(SearchActor, "_evolve", stopped)
    result = generate_for("--rule", "final-note:C", "-n", 9, *only)
    assert result.exit_code == 1
    found = len(list((tmp_path / "out").glob("*.mid")))
    assert 1 <= found < 9
    assert f"stopped; {found} of 9 satisfy every rule by now" in result.stderr
    manifest = manifest_of(tmp_path / "out")
    assert manifest["interrupted"]
    assert [melody["satisfied"] for melody in manifest["melodies"]] == [True] * found


def test_a_search_that_is_stopped_before_it_found_any_writes_nothing(
    generate_for, tmp_path, monkeypatch
):
    def stopped(*_, **__):
        raise MelodySearchInterrupted(Melodies(np.zeros((0, 256), np.uint8)))

    monkeypatch.setattr(SearchActor, "_evolve", stopped)
    result = generate_for("--rule", "final-note:C")
    told = "stopped; no melody satisfies every rule by now: nothing is written\n"
    assert (result.exit_code, result.stderr.splitlines(keepends=True)[-1]) == (1, told)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("stopped_at", [1, 2])
def test_the_first_draw_of_a_search_that_is_stopped_keeps_the_parts_before(
    generate_for, tiny_model_folder, tmp_path, monkeypatch, stopped_at
):
    decode, parts = HierarchicalVAE.decode, []

    def stopped(model, z, *arguments, **options):
        parts.append(len(z))
        if len(parts) == stopped_at:
            signal.raise_signal(signal.SIGINT)
        return decode(model, z, *arguments, **options)

    monkeypatch.setattr(HierarchicalVAE, "decode", stopped)
    result = generate_for("--rule", "density:100", "-n", 300)
    assert result.exit_code == 1
    if stopped_at == 1:
        told = "stopped; no melody satisfies every rule by now: nothing is written"
        assert told in result.stderr
        assert not (tmp_path / "out").exists()
        return
    manifest = manifest_of(tmp_path / "out")
    found = len(manifest["melodies"])
    assert 0 < found <= 256
    assert f"stopped; {found} of 300 satisfy every rule by now" in result.stderr
    assert (manifest["interrupted"], manifest["drawn"]) == (True, 256)
    assert all(melody["satisfied"] for melody in manifest["melodies"])


def test_a_drawing_that_is_stopped_before_anything_is_drawn_says_so(
    generate_for, tmp_path, monkeypatch
):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(HierarchicalVAE, "decode", stopped)
    result = generate_for("-n", 3)
    told = "stopped; no melody is drawn by now: nothing is written"
    assert (result.exit_code, told in result.stderr) == (1, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("of_an_actor", [False, True])
def test_a_drawing_that_is_stopped_writes_what_it_has_drawn(
    generate, generate_for, tiny_model_folder, tiny_actor_folder, tmp_path, monkeypatch,
    ending, of_an_actor,
):  # fmt: skip
    monkeypatch.setattr(sampler, "DECODE_BATCH", 16)
    monkeypatch.setattr(search, "DECODE_BATCH", 16)
    decode, parts = HierarchicalVAE.decode, []

    def stopped(model, z, *arguments, **options):
        parts.append(len(z))
        if len(parts) == 2:
            signal.raise_signal(ending)
        return decode(model, z, *arguments, **options)

    monkeypatch.setattr(HierarchicalVAE, "decode", stopped)
    result = (generate if of_an_actor else generate_for)("-n", 20)
    assert result.exit_code == 1
    assert result.stderr.startswith("stopped; 16 of 20 are drawn by now\n16 MIDI files in out")
    manifest = manifest_of(tmp_path / "out")
    assert (manifest["interrupted"], manifest["drawn"]) == (True, 16)
    monkeypatch.undo()
    actor, model = load_actor(tiny_actor_folder), load_model(tiny_model_folder)
    whole = actor.generate(20) if of_an_actor else draw(model, 20)
    assert len(manifest["melodies"]) == 16
    for row in (0, 15):
        path = tmp_path / "out" / manifest["melodies"][row]["file"]
        assert read_melody(path).melody == whole[row]


def test_melodies_are_drawn_like_those_of_a_folder_or_a_file(
    generate_for, tiny_model_folder, tmp_path
):
    folder = tmp_path / "reels"
    folder.mkdir()
    model = load_model(tiny_model_folder)
    for number, melody in enumerate(draw(model, 3, seed=8)):
        to_midi_file(melody).save(folder / f"{number}.mid")
    for number in range(5):
        (folder / f"bad-{number}.mid").write_bytes(b"no MIDI")
    result = generate_for("--like", folder, "-n", 2, "--overwrite")
    assert result.exit_code == 0
    assert result.stderr.count("passed over: ") == 3
    assert "and 2 more" in result.stderr
    assert f"like 3 melodies of {folder}" in result.stderr
    for number, melody in enumerate(draw(model, 2, like=folder, seed=1), 1):
        assert read_melody(tmp_path / "out" / f"melody-{number:03d}.mid").melody == melody
    assert manifest_of(tmp_path / "out")["like"] == str(folder)
    result = generate_for(
        "--like", folder / "1.mid", "--density", "1..255", "-n", 1, "--overwrite"
    )
    assert (result.exit_code, manifest_of(tmp_path / "out")["rules"]) == (0, ["density:1..255"])
    assert f"like 1 melody of {folder / '1.mid'}" in result.stderr


def test_an_actor_goes_without_examples(generate, tmp_path):
    result = generate("--like", tmp_path)
    assert result.exit_code == 2
    assert (
        "--like does not go with --actor; train an actor with --like and --unlike" in result.stderr
    )


def test_a_rule_without_a_key_leaves_the_signature_out(generate_for, tmp_path):
    generate_for("--density", 252, "-n", 1)
    assert manifest_of(tmp_path / "out")["key_signature"] is None
    assert messages(tmp_path / "out" / "melody-001.mid", "key_signature") == []


def test_only_satisfying_draws_until_there_are_enough(generate_for, tmp_path):
    result = generate_for("--density", 253, "-n", 5, "--only-satisfying")
    assert result.exit_code == 0
    manifest = manifest_of(tmp_path / "out")
    assert len(manifest["melodies"]) == 5
    assert all(entry["satisfied"] and entry["notes"] >= 253 for entry in manifest["melodies"])
    assert manifest["drawn"] > 5
    assert f"5 satisfying melodies among {manifest['drawn']} drawn" in result.stderr


def test_those_that_were_found_are_written_where_there_are_too_few(
    generate_for, tmp_path, monkeypatch
):
    for kind in (MelodyActor, SearchActor):
        defaults = kind.generate_satisfying.__wrapped__.__kwdefaults__
        monkeypatch.setitem(defaults, "max_draws", 60)
    result = generate_for("--density", 253, "-n", 40, "--only-satisfying")
    assert result.exit_code == 1
    manifest = manifest_of(tmp_path / "out")
    count = len(manifest["melodies"])
    assert 0 < count < 40
    assert f"Error: {count} of " in result.stderr
    assert all(entry["satisfied"] for entry in manifest["melodies"])


def test_a_rule_that_is_never_satisfied_is_told(generate, monkeypatch, tmp_path):
    monkeypatch.setitem(
        MelodyActor.generate_satisfying.__wrapped__.__kwdefaults__, "max_draws", 640
    )
    result = generate("-n", 2, "--only-satisfying")
    assert result.exit_code == 1
    assert "Error: 0 of 64 melodies satisfy every rule, 2 were wanted" in result.stderr
    assert not (tmp_path / "out").exists()


def test_a_plot_is_written_on_demand(generate, tmp_path):
    generate("-n", 2, "--plot")
    generate("-n", 2, "-o", "plain")
    assert (tmp_path / "out" / "melodies.png").read_bytes().startswith(b"\x89PNG")
    assert not (tmp_path / "plain" / "melodies.png").exists()


def test_all_that_was_written_is_named(generate, tmp_path, monkeypatch):
    monkeypatch.setattr(musicxml, "to_musicxml", lambda arrangement: b"a score")  # in ten octaves
    formats = [word for name in ("tracks", "musicxml") for word in ("--format", name)]
    result = generate("-n", 2, "--plot", "--wav", *formats, "--tempo", 1000)
    assert result.stderr.startswith(
        "2 MIDI files in out; beside them 2 WAV files, 2 MusicXML files, melodies-tracks.mid, "
        "melodies.png, manifest.json\n"
    )
    result = generate("-n", 1, "--wav", "--tempo", 1000, "--overwrite")
    assert result.stderr.startswith("1 MIDI file in out; beside it 1 WAV file, manifest.json\n")
    result = generate("-n", 17, "--plot", "-o", "more")
    told = "beside them melodies-001.png to melodies-002.png, manifest.json\n"
    assert told in result.stderr
    assert (tmp_path / "more" / "melodies-002.png").exists()


def test_a_reward_just_below_one_does_not_read_as_one(mc, almost_folder, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        plots, "plot_melodies", lambda melodies, path, **options: drawn.extend(options["titles"])
    )
    mc("generate", "--actor", almost_folder, "--allow-code", *ANY, "-n", 2, "--plot")
    assert [title.endswith(", mine.py:almost 0.999") for title in drawn] == [True] * 2


def test_the_tonic_of_a_scale_is_marked_in_the_picture(generate_for, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        plots, "plot_melodies", lambda melodies, path, **options: drawn.append(options)
    )
    for number, specs in enumerate([["D-dorian"], ["cadence:A-minor"], ["cmajor"], []]):
        rules = [word for spec in specs for word in ("--rule", spec)]
        generate_for(*rules, "-n", 1, "--plot", "-o", f"out{number}")
    assert [options["tonic"] for options in drawn] == [2, 9, None, None]
    assert [options["pitch_classes"] for options in drawn] == [
        frozenset({0, 2, 4, 5, 7, 9, 11}),
        None,
        frozenset({0, 2, 4, 5, 7, 9, 11}),
        None,
    ]


def test_an_earlier_run_is_replaced_only_on_demand(generate, tmp_path):
    generate("-n", 3, "--plot", "--wav", "--tempo", 1000)
    (tmp_path / "out" / "mine.txt").write_text("kept")
    before = contents(tmp_path / "out")
    for number in (1, 2, 3):
        with wave.open(str(tmp_path / "out" / f"melody-00{number}.wav")) as sound:
            assert sound.getnframes() == sample_count(1000)
    refused = generate("-n", 1)
    assert refused.exit_code == 2
    assert "out holds an earlier run; pass --overwrite to replace it" in refused.stderr
    assert contents(tmp_path / "out") == before
    assert generate("-n", 1, "--overwrite").exit_code == 0
    assert set(contents(tmp_path / "out")) == {"melody-001.mid", "manifest.json", "mine.txt"}


def test_other_formats_stand_beside_the_midi_files_and_go_with_them(
    generate, tmp_path, monkeypatch
):
    monkeypatch.setattr(musicxml, "to_musicxml", lambda arrangement: b"a score")  # in ten octaves
    formats = [
        word for name in ("mid", "tracks", "dawproject", "musicxml") for word in ("--format", name)
    ]
    generate("-n", 2, *formats, "--seed", 5)
    alone = [read_melody(tmp_path / "out" / f"melody-00{number}.mid") for number in (1, 2)]
    together = tmp_path / "out" / "melodies-tracks.mid"
    for track, one in enumerate(alone, 1):
        assert read_melody(together, track=str(track)).melody == one.melody
    others = ["melody-001.musicxml", "melody-002.musicxml", together.name, "melodies.dawproject"]
    assert manifest_of(tmp_path / "out")["beside"] == others
    plain = contents(tmp_path / "out")
    assert plain["melody-001.musicxml"] == b"a score"
    generate("-n", 2, "--seed", 5, "--velocity", "shaped", "--swing", 60, "--overwrite")
    assert set(plain) - set(contents(tmp_path / "out")) == set(others)
    path = tmp_path / "out" / "melody-001.mid"
    assert read_melody(path).melody == alone[0].melody
    performance = Performance("shaped", 60, seed=5)
    expected = to_midi_file(alone[0].melody, key="C", name="melody-001", performance=performance)
    assert list(mido.MidiFile(path)) == list(expected)


def test_a_score_that_cannot_be_written_costs_nothing_else(generate, tmp_path, monkeypatch):
    def refuse(arrangement):
        raise UsageError("ten octaves")

    monkeypatch.setattr(musicxml, "to_musicxml", refuse)
    refused = generate("-n", 2, "--format", "musicxml", "--format", "tracks")
    assert refused.exit_code == 2
    assert {"melody-001.mid", "melody-002.mid", "melodies-tracks.mid"} < set(
        contents(tmp_path / "out")
    )


def test_a_swing_is_in_percent_with_or_without_the_sign(generate, tmp_path):
    written = []
    for swing in ("66.7", "66.7%"):
        assert generate("-n", 1, "--swing", swing, "--overwrite").exit_code == 0
        written.append(contents(tmp_path / "out"))
    assert written[0] == written[1]


def test_the_manifest_is_printed_on_demand(generate, tmp_path):
    result = generate("-n", 2, "--json")
    assert json.loads(result.stdout) == manifest_of(tmp_path / "out")


def test_a_swing_or_a_package_that_is_missing_is_told_before_any_work(
    generate, tmp_path, monkeypatch
):
    refused = generate("--swing", 25)
    assert refused.exit_code == 2
    assert refused.stderr == (
        "Error: swing must be 0 (straight) or from 50 (straight) to 75 percent (66.7: triplets), "
        "got 25\n"
    )
    monkeypatch.setitem(sys.modules, "musicxml.xmlelement.xmlelement", None)
    refused = generate("--format", "musicxml")
    assert refused.exit_code == 2
    assert "install it with: pip install 'melodyconstraints[notation]'" in refused.stderr
    assert not (tmp_path / "out").exists()


def test_an_earlier_run_is_kept_when_there_is_nothing_to_replace_it(
    generate, generate_for, tmp_path
):
    generate("-n", 2)
    before = contents(tmp_path / "out")
    assert generate_for("--rule", "cmajr", "--overwrite").exit_code == 2
    assert contents(tmp_path / "out") == before


def test_other_files_are_never_replaced(generate, tmp_path, tiny_model_folder):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "song.mid").write_bytes(b"")
    before = contents(tiny_model_folder)
    for folder in ("full", tiny_model_folder):
        for options in ([], ["--overwrite"]):
            result = generate("-n", 1, "-o", folder, *options)
            assert result.exit_code == 2
            assert f"{folder} holds other files; choose an empty or new folder" in result.stderr
    assert contents(tiny_model_folder) == before


def test_an_empty_folder_is_used(generate, tmp_path):
    (tmp_path / "out").mkdir()
    assert generate("-n", 1).exit_code == 0


def test_an_actor_and_rules_together_are_refused(mc):
    result = mc("generate", "--actor", "a", "--rule", "cmajor")
    assert result.exit_code == 2
    assert "give either --actor, or rules by --rule and --density" in result.stderr


def test_only_satisfying_without_rules_is_refused(mc):
    result = mc("generate", "--only-satisfying")
    assert result.exit_code == 2
    assert "--only-satisfying needs --actor, --scale, --rule or --density" in result.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--actor", "a"],
            "--scale does not go with --actor, which has rules of its own; leave one out",
        ),
    ],
)
def test_a_scale_is_a_knob_and_goes_with_no_other_rules(mc, options, message):
    result = mc("generate", "--scale", "D-dorian", *options)
    assert result.exit_code == 2
    assert re.search(message, result.stderr)


def test_a_staff_is_asked_for_scale_form_and_ranges_without_training(mc, monkeypatch, tmp_path):
    monkeypatch.setattr(train_module, "train_actor", None)
    asked = ("--scale", "Am", "--form", "ABAB", "--density", "30..90", "--rule", "ambitus:..24")
    assert mc("generate", *asked, *ANY, "-n", 2).exit_code == 0
    manifest = manifest_of(tmp_path / "out")
    assert manifest["rules"] == ["scale:Am", "ambitus:..24", "density:30..90"]
    assert (manifest["form"], manifest["scale"]) == ("ABAB", [9, 11, 0, 2, 4, 5, 7])
    for entry in manifest["melodies"]:
        melody = read_melody(tmp_path / "out" / entry["file"]).melody
        halves = melody.events.reshape(2, -1)
        assert np.array_equal(halves[0][halves[0] < 128], halves[1][halves[0] < 128])


# How many satisfy the rules


def test_a_rule_of_weight_0_is_measured_and_not_asked(mc, tiny_actor_folder, tmp_path):
    actor = load_actor(tiny_actor_folder, rules=["density:256", "density:1"])
    replace(actor, weights=(0.0, 1.0)).save(tmp_path / "actor")
    result = mc("generate", "--actor", "actor", "-n", 4)
    assert result.exit_code == 0
    assert "4 of 4 satisfy every rule" in result.stderr
    result = mc("evaluate", "--actor", "actor", "-n", 2, "--rule", "density:1", "--json")
    assert json.loads(result.stdout)["all_satisfied"] == 1
    result = mc("generate", "--allow-code")
    assert (result.exit_code, "--allow-code goes with --actor only" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    ("rule", "options", "exit_code", "told"),
    [
        ("density:1", (), 0, "4 of 4 satisfy every rule\n"),
        (
            "density:256",
            (),
            1,
            "Error: 0 of 4 satisfy every rule: ask for less or try --only-satisfying; "
            "--allow-none makes this no error\n",
        ),
        (
            "density:256",
            ("--allow-none",),
            0,
            "0 of 4 satisfy every rule; --only-satisfying goes on until all do\n",
        ),
    ],
    ids=["all", "none", "none, as allowed"],
)
def test_the_command_says_how_many_satisfy_every_rule(
    mc, tiny_actor_folder, tmp_path, rule, options, exit_code, told
):
    actor = load_actor(tiny_actor_folder, rules=[rule, rule.replace(":", ":0")])
    actor.save(tmp_path / "actor")
    result = mc("generate", "--actor", "actor", "-n", 4, *options)
    assert result.exit_code == exit_code
    assert result.stderr == f"4 MIDI files in out; beside them manifest.json\n{told}"
    assert len(list((tmp_path / "out").glob("*.mid"))) == 4


def test_an_output_that_cannot_be_written_costs_no_training(mc, monkeypatch, tmp_path):
    monkeypatch.setattr(train_module, "train_actor", None)
    (tmp_path / "file").touch()
    for command in (["generate", "--rule", "cmajor"], ["train-actor", "--rule", "cmajor"]):
        result = mc(*command, "-o", "file/out")
        assert result.exit_code == 2
        assert "file/out cannot be written" in result.stderr
        assert "Not a directory; choose another place" in result.stderr


@pytest.mark.parametrize("full", ["melody-002", "manifest"])
def test_after_a_full_disk_the_command_can_be_run_again(generate, monkeypatch, tmp_path, full):
    whole = Path.open

    class Full:
        """A file on a full disk."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

    def open_file(path, *arguments, **options):
        file = whole(path, *arguments, **options)
        return Full(file) if path.name.startswith(full) and file.writable() else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", open_file)
        result = generate("-n", 3)
    assert result.exit_code == 1
    assert f"Error: out/{full}" in result.stderr
    assert "No space left on device" in result.stderr
    left = list((tmp_path / "out").iterdir())
    assert all(path.stat().st_size for path in left)
    assert generate("-n", 3, "--overwrite").exit_code == 0
    assert len(list((tmp_path / "out").glob("*.mid"))) == 3


# The knobs


@pytest.fixture
def knobs(tiny_model_folder, tiny_settings, tmp_path, monkeypatch):
    """Knobs on the tiny model in the place of the bundled ones; nothing can be trained."""
    found = train_knobs(load_model(tiny_model_folder), tiny_settings)
    packaged = tmp_path / "bundled"
    shutil.copytree(tiny_model_folder, packaged)
    monkeypatch.setitem(PACKAGED, DEFAULT_NAME, packaged)
    monkeypatch.setattr(knobs_module, "BUNDLED", packaged)
    save_knobs(found, packaged / FOLDER_OF_KNOBS)
    monkeypatch.setattr(train_module, "train_actor", None)
    return load_knobs()


@pytest.mark.parametrize(
    ("scale", "key"), [("D-dorian", "C"), ("Am", "Am"), ("C,D,E", None), ("0,2,4", None)]
)
def test_a_scale_and_a_density_are_set_without_training(mc, knobs, tmp_path, scale, key):
    result = mc("generate", *ANY, "--scale", scale, "--density", 96, "-n", 3, "--seed", 5)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr.startswith("3 MIDI files in out; beside them manifest.json\n")
    manifest = manifest_of(tmp_path / "out")
    rule = knobs.at(scale).names[0]
    assert (manifest["rules"], manifest["key_signature"]) == ([rule, "density:96"], key)
    assert (manifest["model"], manifest["temperature"]) == (knobs.model.fingerprint, 0.5)
    expected = knobs.at(scale, 96).generate(3, seed=5)
    for entry, melody in zip(manifest["melodies"], expected, strict=True):
        assert read_melody(tmp_path / "out" / entry["file"]).melody == melody
        assert entry["rewards"] == pytest.approx(
            {rule: find_rule(rule)(melody), "density:96": min(len(melody) / 96, 1)}
        )
    keys = messages(tmp_path / "out" / "melody-001.mid", "key_signature")
    assert [message.key for message in keys] == ([key] if key else [])


def test_a_scale_alone_leaves_the_density_open(mc, knobs, tmp_path):
    assert mc("generate", *ANY, "--scale", "A-minor", "-n", 1).exit_code == 0
    assert manifest_of(tmp_path / "out")["rules"] == ["pitch-classes:9,11,0,2,4,5,7"]
    (entry,) = manifest_of(tmp_path / "out")["melodies"]
    expected = knobs.at("A-minor").generate(1, seed=1)[0]
    assert read_melody(tmp_path / "out" / entry["file"]).melody == expected


def test_a_density_alone_is_a_knob_too(mc, knobs, tmp_path):
    result = mc("generate", "--density", 190, "-n", 5, "--only-satisfying", "--plot")
    assert result.exit_code == 0
    manifest = manifest_of(tmp_path / "out")
    assert manifest["rules"] == ["density:190"]
    assert all(entry["satisfied"] and entry["notes"] >= 190 for entry in manifest["melodies"])
    assert f"5 satisfying melodies among {manifest['drawn']} drawn" in result.stderr
    expected, drawn = knobs.at(density=190).generate_satisfying(5, seed=1)
    assert manifest["drawn"] == drawn
    assert read_melody(tmp_path / "out" / "melody-005.mid").melody == expected[4]


@pytest.mark.parametrize(
    ("options", "specs"),
    [
        (["--density", "193"], ["density:193"]),
        (["--density", "9", "--rule", "cmajor"], ["cmajor", "density:9"]),
    ],
    ids=str,
)
def test_what_is_no_knob_is_searched_for(mc, knobs, tmp_path, options, specs):
    assert mc("generate", *ANY, "-n", 1, *options).exit_code == 0
    expected = draw(knobs.model, 1, specs, seed=1)[0]
    assert read_melody(tmp_path / "out" / "melody-001.mid").melody == expected


def test_a_model_of_ones_own_may_have_knobs(mc, knobs, tiny_model_folder, tmp_path):
    shutil.copytree(tiny_model_folder, tmp_path / "mine")
    expected = knobs.at("cmajor").generate(1, seed=1)[0]
    for folder in ("by-the-bundled", "by-its-own"):
        options = ("--scale", "cmajor", "-n", 1, "--model", "mine", "-o", folder)
        assert mc("generate", *ANY, *options).exit_code == 0
        assert read_melody(tmp_path / folder / "melody-001.mid").melody == expected
        if folder == "by-the-bundled":
            (tmp_path / "bundled" / FOLDER_OF_KNOBS).rename(tmp_path / "mine" / FOLDER_OF_KNOBS)


def test_knobs_of_another_model_are_told(mc, knobs, tiny_config, tmp_path):
    torch.manual_seed(1)
    other = HierarchicalVAE(tiny_config)
    save_model(other, tmp_path / "other")
    result = mc("generate", "--scale", "cmajor", "--model", "other", "-n", 1)
    assert result.exit_code == 1
    assert (
        f"knobs was trained on the model {knobs.model.fingerprint[:12]}, found "
        f"{other.fingerprint[:12]}; train it again with: mc train-actor --knobs; or "
        "an actor for your rules with: mc train-actor\n"
    ) in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scale", "D-doria"], "'D-doria'; the nearest are D-dorian, D-dorian-b2, D-locrian"),
        (["--scale", "0,2,12"], "got '12' in '0,2,12'"),
        (["--scale", "C,D", "--density", "9"], "the knobs take at least 3 pitch classes and"),
        (["--scale", "cmajor", "--density", "200"], "--rule density:200"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_be_is_told(mc, knobs, options, message):
    result = mc("generate", *options)
    assert result.exit_code == 2
    assert message in result.stderr


# Wrong usage


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n", "0"], "0 is not in the range x>=1"),
        (["--tempo", "9"], "9.0 is not in the range 10<=x<=1000"),
        (["--tempo", "nan"], "tempo must be from 10 to 1000, got nan"),
        (["-o", "a.mid"], "OUTPUT is a folder, got a.mid; leave out .mid"),
        (["--program", "128"], "128 is not in the range 0<=x<=127"),
        (["--temperature", "-0.1"], "-0.1 is not in the range x>=0"),
        (["--seed", "-1"], "-1 is not in the range x>=0"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(generate, options, message):
    result = generate(*options)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_missing_actor_is_told(mc):
    result = mc("generate", "--actor", "none")
    assert result.exit_code == 1
    assert "Error: none is not a finished actor folder: manifest.json" in result.stderr
    assert "there is no such folder" in result.stderr
