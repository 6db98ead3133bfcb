"""``mc interpolate``: from one melody to another."""

import json

import mido
import pytest

from melodyconstraints.melody.metrics.agreement import agreement
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.workflows.interpolate import interpolate as steps_between
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.reconstruct import reconstruct


def tune(first_bar, up):
    """A tune of 16 bars, in quarters."""
    return [
        (4 * bar + beat, 4 * bar + beat + 1, 60 + up + (bar + up * beat) % 7)
        for bar in range(first_bar - 1, first_bar + 15)
        for beat in range(4)
    ]


@pytest.fixture
def ends(make_midi, tmp_path):
    """A file of 16 bars at tempo 80, and one whose melody begins at bar 5, at 120."""
    return (
        make_midi(tmp_path / "a.mid", [(0, "Flute", tune(1, 2))], tempo=80),
        make_midi(
            tmp_path / "b.mid",
            [(1, "Pad", tune(1, -9)), (2, "Melody", tune(5, 5))],
            tempo=120,
        ),
    )


@pytest.fixture
def interpolate(mc, ends, tiny_model_folder):
    """Goes from a.mid to b.mid with the tiny model."""
    return lambda *options: mc(
        "interpolate", "a.mid", "b.mid", "--model", tiny_model_folder, "-o", "out", *options
    )


def message(path, kind):
    [found] = [m for track in mido.MidiFile(path).tracks for m in track if m.type == kind]
    return found


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_the_steps_are_those_of_python_and_both_ends_are_reconstructions(
    interpolate, ends, tiny_model_folder, tmp_path
):
    result = interpolate("-n", 5, "--json")
    assert result.exit_code == 0
    printed = json.loads(result.stdout)
    assert printed.items() <= manifest_of(tmp_path / "out").items()
    assert result.stderr == (
        "a.mid: bars 1-16 of track 'Flute' (of 1 track, 16 bars)\n"
        "b.mid: bars 5-20 of track 'Melody' (of 2 tracks, 20 bars)\n"
    )
    a, b = (read_melody(path).melody for path in ends)
    model = load_model(tiny_model_folder)
    expected = list(steps_between(model, a, b, 5))
    files = [f"step-{number:03d}.mid" for number in range(1, 6)]
    assert set(contents(tmp_path / "out")) == {*files, "manifest.json"}
    assert [read_melody(tmp_path / "out" / file).melody for file in files] == expected
    assert [expected[0], expected[-1]] == list(reconstruct(model, [a, b]))


def test_the_table_and_the_manifest_say_how_like_both_ends_each_step_is(
    interpolate, ends, table, tiny_model_folder, tmp_path
):
    result = interpolate("-n", 3)
    a, b = (read_melody(path).melody for path in ends)
    manifest = manifest_of(tmp_path / "out")
    steps = manifest.pop("melodies")
    assert manifest == {
        "model": load_model(tiny_model_folder).fingerprint,
        "seed": 1,
        "temperature": 0.0,
        "formats": [],
        "velocity": "flat",
        "swing": 50.0,
        "wav": False,
        "beside": [],
        "from": {"source": "a.mid", "track": "Flute", "bars": [1, 16]},
        "to": {"source": "b.mid", "track": "Melody", "bars": [5, 20]},
    }
    rows = [["file", "weight", "tempo", "notes", "events as in A", "as in B"]]
    for step, weight, tempo, program in zip(
        steps, [0, 0.5, 1], [80, 100, 120], [40, 42, 42], strict=True
    ):
        melody = read_melody(tmp_path / "out" / step["file"]).melody
        like_a, like_b = agreement(a, melody), agreement(b, melody)
        assert like_a != like_b
        assert step == {
            "file": step["file"],
            "weight": weight,
            "tempo": tempo,
            "program": program,
            "notes": len(melody),
            "like_a": like_a.as_dict(),
            "like_b": like_b.as_dict(),
        }
        shares = f"{like_a.events:.1%}", f"{like_b.events:.1%}"
        rows.append([step["file"], f"{weight:.2f}", str(tempo), str(len(melody)), *shares])
    assert table(result.stdout) == rows


def test_the_tempo_goes_from_one_to_the_other_and_the_program_changes_halfway(
    interpolate, tmp_path
):
    interpolate("-n", 4)
    paths = [tmp_path / "out" / f"step-00{number}.mid" for number in range(1, 5)]
    tempos = [mido.tempo2bpm(message(path, "set_tempo").tempo) for path in paths]
    assert tempos == pytest.approx([80, 80 + 40 / 3, 80 + 80 / 3, 120], abs=1e-2)
    assert [message(path, "program_change").program for path in paths] == [40, 40, 42, 42]
    assert [message(path, "track_name").name for path in paths] == [path.stem for path in paths]


def test_tempo_and_program_can_be_given(interpolate, tmp_path):
    interpolate("-n", 2, "--tempo", 60, "--program", 0)
    for path in (tmp_path / "out").glob("*.mid"):
        assert message(path, "set_tempo").tempo == mido.bpm2tempo(60)
        assert message(path, "program_change").program == 0


def test_eight_steps_are_the_default(interpolate, tmp_path):
    interpolate()
    assert len(manifest_of(tmp_path / "out")["melodies"]) == 8


def test_temperature_and_seed_reach_the_decoder(interpolate, ends, tiny_model_folder, tmp_path):
    interpolate("-n", 2, "--temperature", 1, "--seed", 7)
    a, b = (read_melody(path).melody for path in ends)
    model = load_model(tiny_model_folder)
    expected = steps_between(model, a, b, 2, temperature=1.0, seed=7)
    found = read_melody(tmp_path / "out" / "step-002.mid").melody
    assert found == expected[1]
    assert found != steps_between(model, a, b, 2, temperature=1.0, seed=8)[1]


@pytest.mark.parametrize(
    ("options", "bars"),
    [
        (["--bar", "3"], ["bars 3-16 of track 'Flute'", "bars 3-18 of track 'Melody'"]),
        (["--bar", "1", "--bar", "6"], ["bars 1-16 of", "bars 6-20 of"]),
        (["--track", "Flute", "--track", "1"], ["of track 'Flute'", "bars 1-16 of track 'Pad'"]),
        (["--polyphony", "onset"], ["bars 1-16 of track 'Flute'", "bars 5-20 of track 'Melody'"]),
    ],
    ids=str,
)
def test_bars_and_tracks_are_chosen_for_both_or_for_each(interpolate, options, bars):
    told = interpolate("-n", 2, *options).stderr.splitlines()
    assert len(told) == 2
    for line, text in zip(told, bars, strict=True):
        assert text in line


def test_piano_rolls_are_written_on_demand(interpolate, tmp_path):
    interpolate("-n", 2, "--plot")
    assert (tmp_path / "out" / "melodies.png").read_bytes().startswith(b"\x89PNG")
    interpolate("-n", 2, "--overwrite")
    assert not (tmp_path / "out" / "melodies.png").exists()


def test_an_earlier_run_is_replaced_only_on_demand(interpolate, tmp_path):
    interpolate("-n", 4, "--wav", "--tempo", 1000)
    before = contents(tmp_path / "out")
    assert {f"step-00{number}.wav" for number in (1, 2, 3, 4)} < set(before)
    refused = interpolate("-n", 2)
    assert refused.exit_code == 2
    assert "out holds an earlier run; pass --overwrite to replace it" in refused.stderr
    assert contents(tmp_path / "out") == before
    assert interpolate("-n", 2, "--overwrite").exit_code == 0
    assert set(contents(tmp_path / "out")) == {"step-001.mid", "step-002.mid", "manifest.json"}


def test_an_input_is_never_replaced(mc, interpolate, tiny_model_folder, tmp_path):
    interpolate("-n", 2)
    before = contents(tmp_path / "out")
    result = mc(
        *("interpolate", "out/step-001.mid", "b.mid", "--model", tiny_model_folder),
        *("-o", "out", "--overwrite"),
    )
    assert result.exit_code == 2
    assert "out/step-001.mid is an input; choose another OUTPUT" in result.stderr
    assert contents(tmp_path / "out") == before


def test_a_file_without_a_melody_ends_it(interpolate, make_midi, tmp_path):
    interpolate("-n", 2)
    before = contents(tmp_path / "out")
    make_midi(tmp_path / "b.mid", [(9, "Drums", [(0, 1, 36)])])
    result = interpolate("-n", 2, "--overwrite")
    assert result.exit_code == 1
    assert result.stderr.endswith("Error: b.mid holds only drums\n")
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-n", "1"], "1 is not in the range x>=2"),
        (["--tempo", "9"], "9.0 is not in the range 10<=x<=1000"),
        (["--tempo", "nan"], "tempo must be from 10 to 1000, got nan"),
        (["--program", "128"], "128 is not in the range 0<=x<=127"),
        (["--temperature", "-0.1"], "-0.1 is not in the range x>=0"),
        (["--bar", "1", "--bar", "2", "--bar", "3"], "give --bar once for both files, or twice"),
        (["--track", "a", "--track", "b", "--track", "c"], "give --track once for both files"),
        (["-o", "."], ". holds other files; choose an empty or new folder"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(interpolate, options, message):
    result = interpolate(*options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_both_files_must_be_there(mc, ends):
    assert "File 'c.mid' does not exist" in mc("interpolate", "a.mid", "c.mid", "-o", "out").stderr
    assert "Missing argument" in mc("interpolate", "a.mid", "-o", "out").stderr
