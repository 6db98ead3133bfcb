"""``mc transform``: what is written, what is told, and when it counts as failed."""

import json
import math
import os
from pathlib import Path

import mido
import numpy as np
import pytest

from melodyconstraints.cli import transform as module
from melodyconstraints.melody import plots
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.melody.midi.writing import write_melody
from melodyconstraints.melody.sound import pluck_melody, wav_bytes
from melodyconstraints.rules import find_rules
from melodyconstraints.workflows import transform as transform_workflow
from melodyconstraints.workflows.editing import in_key
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.shortcoming import Shortcoming
from melodyconstraints.workflows.train_actor import train_actor

pytestmark = [
    pytest.mark.usefixtures("quick_search"),
    pytest.mark.filterwarnings("ignore:all .* melodies drawn from the model satisfy"),
]

TUNE = [(4 * bar + beat, 4 * bar + beat + 1, 60 + (bar + 2 * beat) % 12)
        for bar in range(8, 24) for beat in range(4)]  # fmt: skip
WHITE = {0, 2, 4, 5, 7, 9, 11}
TOLD = "song.mid: bars 9-24 of track 'Tune' (of 2 tracks, 24 bars)\nit is in Eb-major\n"
REACHED = "density:64"
"""A rule that the song keeps."""
DENSE = "density:200"
"""A rule that every melody of the tiny model keeps, and the song of 64 notes does not."""


@pytest.fixture
def song(make_midi, tmp_path):
    """A song whose melody begins at bar 9, on the second of its tracks."""
    bass = (0, "Bass", [(bar * 4, bar * 4 + 4, 36) for bar in range(24)])
    return make_midi(tmp_path / "song.mid", [bass, (1, "Tune", TUNE)], tempo=90)


@pytest.fixture(scope="module")
def actor_folder(tmp_path_factory, tiny_model_folder, tiny_settings):
    """Makes actor folders for rules."""

    def make(*rules: str) -> Path:
        folder = tmp_path_factory.mktemp("actor")
        model, silent = load_model(tiny_model_folder), lambda _: None  # one rule is no news
        train_actor(model, rules, settings=tiny_settings, announce=silent).save(folder)
        return folder

    return make


@pytest.fixture(scope="module")
def dense_folder(actor_folder):
    """An actor whose rule is within reach."""
    return actor_folder(DENSE)


@pytest.fixture
def transform(mc, dense_folder):
    """Transforms with an actor whose rule is within reach."""
    return lambda *options: mc("transform", "--actor", dense_folder, *options)


@pytest.fixture
def transform_hard(mc, tiny_actor_folder):
    """Transforms with an actor for C major and 252 notes."""
    return lambda *options: mc("transform", "--actor", tiny_actor_folder, *options)


def messages(path, kind):
    return [m for track in mido.MidiFile(path).tracks for m in track if m.type == kind]


def told(result):
    """What was written to stderr but for bars of progress."""
    return "".join(line for line in result.stderr.splitlines(True) if "rounds" not in line)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_melody_the_original_their_sound_and_a_picture_are_written(
    transform, table, song, dense_folder, tmp_path
):
    result = transform("song.mid", "-o", "new/out.mid", "--seed", 3, "--wav")
    assert (result.exit_code, told(result)) == (0, TOLD)
    written = contents(tmp_path / "new")
    midi, sound = {"out.mid", "out-original.mid"}, {"out.wav", "out-original.wav"}
    assert set(written) == {*midi, *sound, "out.png"}
    before = read_melody(song).melody
    plucked = pluck_melody(before, tempo=read_melody(song).tempo)
    assert written["out-original.wav"] == wav_bytes(plucked) != written["out.wav"]
    assert read_melody(tmp_path / "new" / "out-original.mid").melody == before
    (expected,) = transform_workflow.transform(load_actor(dense_folder), before, seed=3)
    assert read_melody(tmp_path / "new" / "out.mid").melody == expected.melody
    assert (tmp_path / "new" / "out.png").read_bytes().startswith(b"\x89PNG")
    assert table(result.stdout) == [
        ["file", "notes in", "notes out", "kept", DENSE, "satisfied", "latent distance"],
        [
            *("out.mid", "64", str(len(expected.melody)), f"{expected.notes_kept:.0%}"),
            *("0.320 -> 1", "yes", f"{expected.distance:.2f}"),
        ],
    ]


def test_tempo_program_and_name_are_those_of_the_input_and_the_key_is_the_rules(
    transform_hard, song, tmp_path
):
    transform_hard("song.mid", "-o", "out.mid", "--format", "tracks", "--format", "dawproject")
    both = mido.MidiFile(tmp_path / "out-tracks.mid").tracks
    assert [track.name for track in both[1:]] == ["out-original", "out"]
    assert (tmp_path / "out.dawproject").exists()
    for name, keys in (("out", ["C"]), ("out-original", [])):
        path = tmp_path / f"{name}.mid"
        assert [m.tempo for m in messages(path, "set_tempo")] == [mido.bpm2tempo(90)]
        assert [m.program for m in messages(path, "program_change")] == [41]
        assert [m.name for m in messages(path, "track_name")] == [name]
        assert [m.key for m in messages(path, "key_signature")] == keys


def test_json_says_the_same_for_machines(
    transform_hard, song, tiny_actor_folder, tiny_model_folder
):
    result = transform_hard(
        *("song.mid", "-o", "out.mid", "--json", "--seed", 2, "--variations", 2),
        *("--strength", 0.5, "--keep-bars", "2,1"),
    )
    found = json.loads(result.stdout)
    rows = found.pop("melodies")
    assert found == {
        "model": load_model(tiny_model_folder).fingerprint,
        "rules": ["cmajor", "density:252"],
        "seed": 2,
        "strength": 0.5,
        "keep_bars": [1, 2],
        "key_signature": "C",
        "source": "song.mid",
        "track": "Tune",
        "bars": [9, 24],
        "tempo": 90.0,
        "program": 41,
        "original": "out-original.mid",
        "picture": "out.png",
        "formats": [],
        "velocity": "flat",
        "swing": 50.0,
        "wav": False,
        "beside": [],
    }
    expected = transform_workflow.transform(
        load_actor(tiny_actor_folder),
        read_melody(song).melody,
        strength=0.5,
        keep_bars={1, 2},
        variations=2,
        seed=2,
    )
    assert [row["file"] for row in rows] == ["out.mid", "out-2.mid"]
    for row, one in zip(rows, expected, strict=True):
        assert read_melody(row["file"]).melody == one.melody
        assert row == {
            "file": row["file"],
            "notes_in": 64,
            "notes_out": len(one.melody),
            "notes_kept": one.notes_kept,
            "rewards_before": dict(zip(found["rules"], one.before.tolist(), strict=True)),
            "rewards_after": dict(zip(found["rules"], one.after.tolist(), strict=True)),
            "satisfied": one.satisfied,
            "latent_distance": pytest.approx(one.distance, rel=1e-5),
            "decoded": one.decoded,
        }


def test_the_picture_shows_before_and_after_in_the_colours_of_the_rules(
    transform_hard, song, tmp_path, monkeypatch
):
    drawn = {}
    monkeypatch.setattr(
        plots, "plot_melodies", lambda melodies, path, **options: drawn.update(options, path=path)
    )
    transform_hard("song.mid", "-o", "out.mid", "--variations", 2)
    assert drawn["pitch_classes"] == WHITE
    assert drawn["path"] == Path("out.png")
    first, second, third = drawn["titles"]
    assert sum(pitch % 12 in WHITE for *_, pitch in TUNE) == 37  # of 64, 0.578
    assert first == "original, 64 notes, cmajor 0.578, density:252 0.253"
    assert second.startswith("out, 2")
    assert third.startswith("out-2, 2")
    assert "% of the original's kept, cmajor 0." in second


def test_bars_are_kept(transform_hard, song, tmp_path):
    transform_hard("song.mid", "-o", "out.mid", "--keep-bars", "1-4,9")
    before = read_melody(song).melody
    after = read_melody(tmp_path / "out.mid").melody
    for bar in (1, 2, 3, 4, 9):
        assert (after.bars[bar - 1] == before.bars[bar - 1]).all()
    assert after != before


def test_bar_track_and_polyphony_choose_other_bars(transform, song, tmp_path):
    result = transform("song.mid", "-o", "a.mid", "--bar", 11, "--track", "tune")
    assert result.stderr.startswith("song.mid: bars 11-24 of track 'Tune' (of 2 tracks, 24 bars),")
    result = transform("song.mid", "-o", "b.mid", "--track", 1, "--polyphony", "onset")
    assert result.stderr.startswith("song.mid: bars 1-16 of track 'Bass' (of 2 tracks, 24 bars)\n")


def test_a_melody_that_satisfies_the_rules_is_written_as_it_is(
    mc, actor_folder, table, song, tmp_path
):
    result = mc("transform", "song.mid", "--actor", actor_folder(REACHED), "-o", "out.mid")
    assert result.exit_code == 0
    assert table(result.stdout)[1] == ["out.mid", "64", "64", "100%", "1 -> 1", "yes", "0.00"]
    assert read_melody(tmp_path / "out.mid").melody == read_melody(song).melody


def test_a_melody_is_moved_into_a_key(mc, song, table, tmp_path):
    result = mc("transform", "song.mid", "--key", "A-minor", "-o", "out.mid")
    assert result.exit_code == 0
    tune = read_melody(song).melody
    assert result.stderr.endswith("it is in Eb-major, moved to A-minor\n")
    assert read_melody(tmp_path / "out.mid").melody == in_key(tune, "A-minor")
    assert read_melody(tmp_path / "out-original.mid").melody == tune
    assert table(result.stdout)[1][3] == "100%"
    before = float(find_rules(["pitch-classes:9,11,0,2,4,5,7"])[0](tune))
    assert table(result.stdout)[1][4] == f"{math.floor(before * 1000) / 1000:.3f} -> 1"


def written(melody, path, **options) -> bytes:
    """Bytes of a melody's file, played as the song is."""
    write_melody(melody, path, name="out", program=41, tempo=90, **options)
    return path.read_bytes()


def test_a_scale_of_the_command_is_that_of_python(mc, song, tmp_path):
    assert mc("transform", "song.mid", "--scale", "D-dorian", "-o", "out.mid").exit_code == 0
    tune = read_melody(song).melody
    (found,) = transform_workflow.transform(load_model(), tune, scale="D-dorian")
    assert found.melody != tune
    expected = written(found.melody, tmp_path / "python.mid", key="C")
    assert (tmp_path / "out.mid").read_bytes() == expected


def test_a_key_of_the_command_is_that_of_python(mc, song, tmp_path):
    result = mc("transform", "song.mid", "--key", "A-minor", "-o", "out.mid", "--json")
    tune = read_melody(song).melody
    (found,) = transform_workflow.transform(load_model(), tune, key="A-minor")
    expected = written(found.melody, tmp_path / "python.mid", key="Am")
    assert (tmp_path / "out.mid").read_bytes() == expected
    (row,) = json.loads(result.stdout)["melodies"]
    assert list(row["rewards_before"].values()) == found.before.tolist()
    assert (row["notes_kept"], row["notes_in"]) == (1, len(found.original))


def test_seeds_are_the_same_by_default(transform_hard, song, tiny_actor_folder, tmp_path):
    transform_hard("song.mid", "-o", "out.mid")
    actor, tune = load_actor(tiny_actor_folder), read_melody(song).melody
    (found,) = transform_workflow.transform(actor, tune)
    expected = written(found.melody, tmp_path / "python.mid", key="C")
    assert (tmp_path / "out.mid").read_bytes() == expected


def test_notes_of_kept_bars_that_no_search_changes_are_named_at_once(mc, song, tmp_path):
    scale = ("--scale", "C-major")
    result = mc("transform", "song.mid", *scale, "--keep-bars", "9", "-o", "out.mid")
    assert result.exit_code == 1
    assert result.stderr.endswith(
        "; bar 9, which stays, holds 3 notes outside the set of notes of C-major. "
        "Keep fewer bars\n"
    )
    found, tune = read_melody(tmp_path / "out.mid").melody, read_melody(song).melody
    assert (found.bars[8] == tune.bars[8]).all()
    elsewhere = found.onsets // 16 != 8
    assert set(found.pitch_classes[elsewhere].tolist()) <= WHITE


def test_where_a_scale_with_its_tonic_is_not_reached_its_key_is_a_thing_to_try():
    missing = Shortcoming(
        0, tuple((rule, 0.5) for rule in find_rules(["scale:A-minor"])), (), False
    )
    change = {"strength": 1.0, "keep_bars": frozenset()}
    assert module._remedy(missing, change, is_trained=False) == (
        "Try --key A-minor, more --variations, another --seed or an actor of mc train-actor"
    )


def test_rules_need_no_actor(mc, song, tiny_model_folder, quick_recipe, tmp_path):
    result = mc(
        *("transform", "song.mid", "--model", tiny_model_folder, "--density", 200),
        *("-o", "out.mid", "--seed", 6),
    )
    assert result.exit_code == 0
    assert len(read_melody(tmp_path / "out.mid").melody) >= 200


def test_rules_that_are_not_kept_are_named_with_what_to_try(transform_hard, song, table):
    result = transform_hard("song.mid", "-o", "out.mid", "--keep-bars", "1-4,9")
    assert result.exit_code == 1
    (row,) = table(result.stdout)[1:]
    assert row[6] == "no"
    reached = row[4].split(" -> ")[1]
    kept = [pitch for start, _, pitch in TUNE if start // 4 - 7 in (1, 2, 3, 4, 9)]
    outside = sum(pitch % 12 not in WHITE for pitch in kept)
    assert (len(kept), outside) == (20, 10)
    assert told(result).startswith(
        f"{TOLD}Error: the best found, out.mid, reaches cmajor {reached}, density:252 "
    )
    assert result.stderr.endswith(
        f"; bars 1-4,9, which stay, hold {outside} notes outside the set of cmajor. "
        "Try fewer --keep-bars, more --variations, another --seed "
        "or an actor that was trained longer\n"
    )
    assert told(result).count("\n") == 3


def test_more_strength_is_a_thing_to_try(transform_hard, song):
    result = transform_hard("song.mid", "-o", "out.mid", "--strength", 0.5)
    assert result.exit_code == 1
    assert ". Try --strength 1, more --variations, another --seed or an actor" in result.stderr
    assert "which stay" not in result.stderr


def test_one_variation_that_satisfies_the_rules_is_enough(transform, song, monkeypatch):
    silence = Melody.from_notes([])
    low, high = (
        transform_workflow.Transformation(silence, silence, np.zeros(1), np.array([after]), 1.0, 1)
        for after in (0.5, 1.0)
    )
    monkeypatch.setattr(transform_workflow, "transform", lambda *_, **__: [low, high, low])
    assert transform("song.mid", "-o", "out.mid", "--variations", 3).exit_code == 0
    monkeypatch.setattr(transform_workflow, "transform", lambda *_, **__: [low, low])
    result = transform("song.mid", "-o", "other.mid", "--variations", 2)
    assert result.exit_code == 1
    assert f"Error: the best found, other.mid, reaches {DENSE} 0.500. Try" in result.stderr


def test_a_file_is_replaced_only_on_demand(transform, song, tmp_path):
    (tmp_path / "out.png").write_bytes(b"mine")
    refused = transform("song.mid", "-o", "out.mid")
    assert refused.exit_code == 2
    assert "out.png exists; pass --overwrite to replace it" in refused.stderr
    assert set(contents(tmp_path)) == {"song.mid", "out.png"}
    assert transform("song.mid", "-o", "out.mid", "--overwrite").exit_code == 0
    assert (tmp_path / "out.png").read_bytes() != b"mine"


def test_an_input_is_never_replaced(transform, song, tmp_path):
    before = song.read_bytes()
    result = transform("song.mid", "-o", f"../{tmp_path.name}/song.mid", "--overwrite")
    assert result.exit_code == 2
    assert "song.mid is an input; choose another OUTPUT" in result.stderr
    assert song.read_bytes() == before


def test_a_file_without_a_melody_writes_nothing(transform, make_midi, tmp_path):
    make_midi(tmp_path / "waltz.mid", [(0, "", [(0, 1, 60)])], signatures=[(0, 3, 4)])
    result = transform("waltz.mid", "-o", "out.mid")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: waltz.mid is in 3/4; 16 bars of melody need 4/4 or 2/2\n"
    assert set(contents(tmp_path)) == {"waltz.mid"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--keep-bars", "1-4,x"],
            "'--keep-bars': '1-4,x': write bars from 1 to 16 such as 1-4,9",
        ),
        (["--strength", "-1"], "-1.0 is not in the range x>=0"),
        (["--strength", "nan"], "strength must be a number of at least 0, got nan"),
        (["--strength", "much"], "'much' is not a valid float"),
        (["--variations", "0"], "0 is not in the range 1<=x<=15"),
        (["--variations", "16"], "16 is not in the range 1<=x<=15"),
        (["--key", "A-monir"], "no scale is called 'A-monir'; the nearest are A-minor"),
        (["--rule", "cmajor"], "give either --actor, or rules by --rule and --density"),
        (["-o", "out.wav"], "out.wav must end in .mid"),
        (["-o", "."], "File '.' is a directory"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(transform, song, options, message, tmp_path):
    result = transform("song.mid", *([] if "-o" in options else ["-o", "out.mid"]), *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert set(contents(tmp_path)) == {"song.mid"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["song.mid", "-o", "out.mid", "--rule", "cmajor", "--keep-bars", "1-16"],
            "'1-16' keeps every bar: nothing is left to change",
        ),
        (["song.mid", "-o", "out.mid"], "give --key, --actor, --scale, --rule or --density"),
        (
            ["song.mid", "-o", "out.mid", "--key", "A-monir"],
            "no scale is called 'A-monir'; the nearest are A-minor",
        ),
        (["song.mid", "--rule", "cmajor"], "Missing option '-o'"),
        (["none.mid", "--rule", "cmajor", "-o", "out.mid"], "File 'none.mid' does not exist"),
        (["song.mid", "--rule", "cmajr", "-o", "out.mid"], "there is no rule 'cmajr'"),
    ],
    ids=str,
)
def test_wrong_usage_without_an_actor_is_told(mc, song, arguments, message):
    result = mc("transform", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_sound_replaces_no_file_unasked(transform, song, tmp_path):
    (tmp_path / "out-original.wav").touch()
    refused = transform("song.mid", "-o", "out.mid", "--wav")
    assert refused.exit_code == 2
    assert "out-original.wav exists; pass --overwrite to replace it" in refused.stderr


def test_a_hard_link_of_the_input_is_not_replaced(transform, song, tmp_path):
    before = song.read_bytes()
    os.link(song, tmp_path / "link.mid")
    result = transform("song.mid", "-o", "link.mid", "--overwrite")
    assert result.exit_code == 2
    assert "song.mid is an input; choose another OUTPUT" in result.stderr
    assert song.read_bytes() == before
