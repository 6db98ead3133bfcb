"""``mc reroll``: bars that stay, others that are new, and what is told of them."""

import json

import click
import mido
import pytest

from melodyconstraints.cli._inputs import BarsType
from melodyconstraints.melody import plots
from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.workflows import reroll as workflow
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.untrained_actor import searching_actor

TUNE = [(4 * bar + beat, 4 * bar + beat + 1, 60 + (bar + 2 * beat) % 12)
        for bar in range(8, 24) for beat in range(4)]  # fmt: skip
TOLD = "song.mid: bars 9-24 of track 'Tune' (of 2 tracks, 24 bars)\n"
KEPT = (1, 2, 3, 4, 9)
KEEP = ("--keep-bars", "1-4,9")
KEEP_WHITE = ("--keep-bars", 10)
"""The one bar without a black key."""


@pytest.fixture(autouse=True)
def song(make_midi, tmp_path):
    """A song whose melody begins at bar 9, on the second of its tracks."""
    bass = (0, "Bass", [(bar * 4, bar * 4 + 4, 36) for bar in range(24)])
    return make_midi(tmp_path / "song.mid", [bass, (1, "Tune", TUNE)], tempo=90)


@pytest.fixture
def reroll(mc, tiny_model_folder):
    """Draws with the tiny model."""
    return lambda *options: mc(
        "reroll", "song.mid", "--model", tiny_model_folder, "-o", "out", *options
    )


@pytest.fixture
def reroll_hard(mc, tiny_actor_folder):
    """Draws with an actor for C major and 252 notes."""
    return lambda *options: mc(
        "reroll", "song.mid", "--actor", tiny_actor_folder, "-o", "out", *options
    )


def manifest_of(folder) -> dict:
    return json.loads((folder / "manifest.json").read_text())


def melodies_in(folder) -> list[Melody]:
    return [read_melody(path).melody for path in sorted(folder.glob("*.mid"))]


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def messages(path, kind: str) -> list:
    return [m for track in mido.MidiFile(path).tracks for m in track if m.type == kind]


def begun_in(path, bars) -> list[tuple[int, int]]:
    """Onset in ticks and pitch of the notes of a file that begin in some bars."""
    file, found = mido.MidiFile(path), []
    for track in file.tracks:
        now = 0
        for message in track:
            now += message.time
            is_note = message.type == "note_on" and message.velocity
            if is_note and now // (4 * file.ticks_per_beat) + 1 in bars:
                found.append((now * 480 // file.ticks_per_beat, message.note))
    return found


def test_kept_bars_come_back_note_for_note_and_the_others_are_new(reroll, song, tmp_path):
    result = reroll(*KEEP, "-n", 3, "--seed", 3)
    assert (result.exit_code, result.stderr) == (
        0,
        f"{TOLD}3 MIDI files in out; beside them manifest.json\n",
    )
    files = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert files == ["manifest.json", "reroll-001.mid", "reroll-002.mid", "reroll-003.mid"]
    before, found = read_melody(song).melody, melodies_in(tmp_path / "out")
    first = 8 * 4  # quarters of the song before its melody
    by_hand = [
        (480 * (start - first), pitch)
        for start, _, pitch in TUNE
        if (start - first) // 4 + 1 in KEPT
    ]
    assert len(by_hand) == 20
    for number, melody in enumerate(found, 1):
        assert begun_in(tmp_path / "out" / f"reroll-00{number}.mid", KEPT) == by_hand
        for bar in range(1, 17):
            same = (melody.bars[bar - 1] == before.bars[bar - 1]).all()
            assert same == (bar in KEPT)
    assert len({melody.events.tobytes() for melody in found}) == 3


def test_the_command_writes_what_python_draws(
    reroll, reroll_hard, song, tiny_model_folder, tiny_actor_folder, tmp_path
):
    tune, model = read_melody(song).melody, load_model(tiny_model_folder)
    change = {"keep_bars": {10}, "strength": 0.5, "seed": 2, "temperature": 0.8}
    options = (*KEEP_WHITE, "--strength", 0.5, "--seed", 2, "--temperature", 0.8)
    for run, source in (
        (reroll, model),
        (reroll_hard, load_actor(tiny_actor_folder)),
        (lambda *more: reroll(*more, "--density", 100), searching_actor(model, ["density:100"])),
    ):
        result = run(*options, "-n", 2, "--allow-none", "--overwrite")
        assert result.exit_code == 0
        expected = workflow.reroll(source, tune, 2, **change)
        assert melodies_in(tmp_path / "out") == list(expected)


def test_eight_are_drawn_unless_told_otherwise_under_no_rule(reroll, table, song, tmp_path):
    result = reroll(*KEEP)
    header, *rows = table(result.stdout)
    assert header == ["file", "notes", "kept"]
    assert len(rows) == len(melodies_in(tmp_path / "out")) == 8
    entries = manifest_of(tmp_path / "out")["melodies"]
    assert all(entry["rewards"] == {} and "satisfied" not in entry for entry in entries)
    before = read_melody(song).melody
    for row, entry, melody in zip(rows, entries, melodies_in(tmp_path / "out"), strict=True):
        same = (melody.events == before.events) & (before.events < 128)
        assert entry["notes_kept"] == same.sum() / 64 >= 20 / 64
        assert row == [entry["file"], str(len(melody)), f"{same.sum() / 64:.0%}"]


def test_tempo_and_program_are_those_of_the_source_and_the_key_is_the_rules(reroll_hard, tmp_path):
    reroll_hard(*KEEP_WHITE, "-n", 1, "--format", "tracks", "--wav")
    path = tmp_path / "out" / "reroll-001.mid"
    assert [m.tempo for m in messages(path, "set_tempo")] == [mido.bpm2tempo(90)]
    assert [m.program for m in messages(path, "program_change")] == [41]
    assert [m.key for m in messages(path, "key_signature")] == ["C"]
    beside = {"reroll-001.wav", "melodies-tracks.mid"}
    assert set(contents(tmp_path / "out")) == {path.name, "manifest.json", *beside}


def test_json_is_the_manifest(reroll_hard, tiny_model_folder, tmp_path):
    result = reroll_hard(*KEEP_WHITE, "-n", 1, "--json", "--top-k", 3, "--allow-none")
    found = json.loads(result.stdout)
    assert found == manifest_of(tmp_path / "out")
    (entry,) = found.pop("melodies")
    (melody,) = melodies_in(tmp_path / "out")
    assert entry["rewards"]["density:252"] == len(melody) / 252
    assert found == {
        "model": load_model(tiny_model_folder).fingerprint,
        "rules": ["cmajor", "density:252"],
        "temperature": 0.5,
        "top_k": 3,
        "top_p": None,
        "seed": 1,
        "form": "auto",
        "scale": [],
        "rhythm": "",
        "drawn": 1,
        "key_signature": "C",
        "chords": [],
        "source": "song.mid",
        "track": "Tune",
        "bars": [9, 24],
        "tempo": 90.0,
        "program": 41,
        "keep_bars": [10],
        "strength": 1.0,
        "formats": [],
        "velocity": "flat",
        "swing": 50.0,
        "wav": False,
        "beside": [],
    }


def test_a_rule_is_searched_for_in_whole_melodies(reroll, table, tmp_path):
    result = reroll(*KEEP, "--rule", "density:100", "-n", 2)
    assert result.exit_code == 0
    assert result.stderr.endswith(
        "2 MIDI files in out; beside them manifest.json\n2 of 2 satisfy every rule\n"
    )
    for row, melody in zip(table(result.stdout)[1:], melodies_in(tmp_path / "out"), strict=True):
        assert row[3:] == ["1", "yes"]
        assert len(melody) >= 100


def test_where_none_satisfies_the_rules_it_says_what_to_try(reroll, tmp_path):
    hard = ("--rule", "density:200", "--rule", "mean-length:4..", "-n", 2)
    result = reroll(*KEEP, *hard)
    assert result.exit_code == 1
    assert result.stderr.endswith(
        "\n2 MIDI files in out; beside them manifest.json\nError: 0 of 2 satisfy every rule: try "
        "fewer --keep-bars, more melodies by -n or another --seed; --allow-none makes this no "
        "error\n"
    )
    assert len(melodies_in(tmp_path / "out")) == 2
    result = reroll(*KEEP, *hard, "--overwrite", "--allow-none")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (0, "0 of 2 satisfy every rule")
    result = reroll("--keep-bars", 1, *hard, "--overwrite", "--strength", 0.5)
    assert ": try --strength 1, fewer --keep-bars, more melodies by -n or" in result.stderr
    result = reroll(*hard, "--overwrite", "--strength", 0.5)
    assert ": try more --strength, more melodies by -n or another --seed;" in result.stderr


def test_bars_that_no_melody_can_keep_are_refused_before_the_work(reroll_hard, tmp_path):
    result = reroll_hard(*KEEP, "-n", 2)
    assert (result.exit_code, result.stderr) == (
        2,
        f"{TOLD}Error: bars 1-4,9, which stay, hold 10 notes outside the set of cmajor; keep "
        "other bars, or move the melody first by --scale or --key of mc transform\n",
    )
    assert not (tmp_path / "out").exists()


def test_bar_and_track_choose_other_bars(reroll, song, tmp_path):
    result = reroll(*KEEP, "-n", 1, "--bar", 1, "--track", "bass")
    assert result.stderr.startswith("song.mid: bars 1-16 of track 'Bass' (of 2 tracks, 24 bars)\n")
    (melody,) = melodies_in(tmp_path / "out")
    bass = read_melody(song, bar=1, track="bass").melody
    assert (melody.bars[:4] == bass.bars[:4]).all()


def test_the_picture_shows_the_original_first(reroll_hard, tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(
        plots, "plot_melodies", lambda melodies, path, **options: drawn.update(options, path=path)
    )
    reroll_hard(*KEEP_WHITE, "-n", 1, "--plot")
    assert drawn["path"].as_posix() == "out/melodies.png"
    assert drawn["pitch_classes"] == {0, 2, 4, 5, 7, 9, 11}
    original, new = drawn["titles"]
    assert original == "original: 64 notes"
    assert new.startswith("reroll-001: ")
    assert "; cmajor 0." in new


def test_a_run_is_replaced_only_on_demand_and_a_foreign_folder_never(reroll, tmp_path):
    reroll(*KEEP, "-n", 2)
    before = contents(tmp_path / "out")
    refused = reroll(*KEEP, "-n", 1)
    assert refused.exit_code == 2
    assert "out holds an earlier run; pass --overwrite to replace it" in refused.stderr
    assert contents(tmp_path / "out") == before
    assert reroll(*KEEP, "-n", 1, "--overwrite").exit_code == 0
    assert set(contents(tmp_path / "out")) == {"manifest.json", "reroll-001.mid"}
    refused = reroll(*KEEP, "--overwrite", "-o", ".")
    assert (refused.exit_code, ". holds other files" in refused.stderr) == (2, True)


def test_the_source_is_never_replaced(reroll, mc, song, tmp_path):
    reroll(*KEEP, "-n", 1)
    song.rename(tmp_path / "out" / "reroll-002.mid")
    before = contents(tmp_path / "out")
    for source, options in (("reroll-001.mid", ["-n", 1]), ("reroll-002.mid", ["-n", 2])):
        refused = mc("reroll", f"out/{source}", *KEEP, "-o", "out", "--overwrite", *options)
        assert refused.exit_code == 2
        assert f"out/{source} is an input; choose another OUTPUT" in refused.stderr
    assert contents(tmp_path / "out") == before


def test_a_file_without_a_melody_writes_nothing(mc, make_midi, tmp_path):
    make_midi(tmp_path / "waltz.mid", [(0, "", [(0, 1, 60)])], signatures=[(0, 3, 4)])
    result = mc("reroll", "waltz.mid", *KEEP, "-o", "out")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "Error: waltz.mid is in 3/4; 16 bars of melody need 4/4 or 2/2\n"
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "nothing of SOURCE would stay; give --keep-bars, or a --strength below 1"),
        (["--keep-bars", "15-17"], "'15-17': write bars from 1 to 16 such as 1-4,9"),
        (["--keep-bars", "1-16"], "'1-16' keeps every bar: nothing is left to change"),
        ([*KEEP, "--strength", "1.5"], "1.5 is not in the range 0<=x<=1"),
        ([*KEEP, "--strength", "nan"], "strength must be from 0 to 1, got nan"),
        ([*KEEP, "-n", "0"], "0 is not in the range x>=1"),
        ([*KEEP, "-o", "out.mid"], "OUTPUT is a folder, got out.mid; leave out .mid"),
        ([*KEEP, "--rule", "cmajr"], "there is no rule 'cmajr'"),
        (
            [*KEEP, "--actor", "a", "--scale", "Am"],
            "--scale does not go with --actor, which has rules",
        ),
        ([*KEEP, "--form", "AAB"], "AAB"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(reroll, options, message, tmp_path):
    result = reroll(*options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert set(contents(tmp_path)) == {"song.mid"}
    assert not (tmp_path / "out").exists()


# Bars as text


@pytest.mark.parametrize(
    ("text", "bars"),
    [("1-4,9", {1, 2, 3, 4, 9}), ("16", {16}), (" 2 , 2-3", {2, 3}), ("1-15", set(range(1, 16)))],
)
def test_lists_of_bars_by_hand(text, bars):
    found = BarsType().convert(text, None, None)
    assert found == bars
    assert BarsType().convert(found, None, None) is found


@pytest.mark.parametrize("text", ["0", "17", "4-1", "1-", "-2", "1-4;9", "a", "", "1-17", "1,,2"])
def test_other_lists_of_bars_are_refused(text):
    with pytest.raises(click.BadParameter, match="write bars from 1 to 16 such as 1-4,9"):
        BarsType().convert(text, None, None)
