"""``mc reconstruct``: what is written, what is told, and what is never replaced."""

import json

import mido
import numpy as np
import pytest

from melodyconstraints.melody.metrics.agreement import agreement
from melodyconstraints.melody.midi.selection import read_melody
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.reconstruct import reconstruct as decode
from melodyconstraints.workflows.reconstruct import vary

TUNE = [(4 * bar + beat, 4 * bar + beat + 1, 60 + (bar + 2 * beat) % 12)
        for bar in range(8, 24) for beat in range(4)]  # fmt: skip


@pytest.fixture
def song(make_midi, tmp_path):
    """A song whose melody begins at bar 9, on the second of its tracks."""
    bass = (0, "Bass", [(bar * 4, bar * 4 + 4, 36) for bar in range(24)])
    return make_midi(tmp_path / "song.mid", [bass, (1, "Tune", TUNE)], tempo=90)


@pytest.fixture
def waltz(make_midi, tmp_path):
    """A file without a melody."""
    return make_midi(tmp_path / "waltz.mid", [(0, "", [(0, 1, 60)])], signatures=[(0, 3, 4)])


@pytest.fixture
def reconstruct(mc, tiny_model_folder):
    """Passes files through the tiny model."""
    return lambda *options: mc("reconstruct", "--model", tiny_model_folder, *options)


def messages(path, kind):
    return [m for track in mido.MidiFile(path).tracks for m in track if m.type == kind]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_one_file_is_passed_through_and_its_16_bars_are_kept_beside(
    reconstruct, table, song, tiny_model_folder, tmp_path
):
    result = reconstruct("song.mid", "-o", "new/again.mid")
    assert result.exit_code == 0
    assert result.stderr == "song.mid: bars 9-24 of track 'Tune' (of 2 tracks, 24 bars)\n"
    assert set(contents(tmp_path / "new")) == {"again.mid", "again-original.mid"}
    before = read_melody(song).melody
    assert read_melody(tmp_path / "new" / "again-original.mid").melody == before
    after = decode(load_model(tiny_model_folder), [before])[0]
    assert read_melody(tmp_path / "new" / "again.mid").melody == after
    same = agreement(before, after)
    assert table(result.stdout) == [
        ["file", "notes in", "notes out", "events", "onset F1", "pitch classes"],
        [
            *("again.mid", "64", str(len(after)), f"{same.events:.1%}"),
            *(f"{same.onset_f1:.3f}", f"{same.pitch_classes:.1%}"),
        ],
    ]


def test_tempo_and_program_are_those_of_the_input(reconstruct, song, tmp_path):
    reconstruct("song.mid", "-o", "again.mid")
    for name in ("again", "again-original"):
        path = tmp_path / f"{name}.mid"
        assert [m.tempo for m in messages(path, "set_tempo")] == [mido.bpm2tempo(90)]
        assert [m.program for m in messages(path, "program_change")] == [41]
        assert [m.name for m in messages(path, "track_name")] == [name]


def test_several_files_go_to_a_folder_with_a_manifest(
    reconstruct, table, song, waltz, tiny_model_folder, tmp_path
):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "SONG.mid").write_bytes(song.read_bytes())
    result = reconstruct("song.mid", "waltz.mid", "deep", "song.mid", "-o", "out")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "song.mid: bars 9-24 of track 'Tune' (of 2 tracks, 24 bars)",
        "Error: waltz.mid is in 3/4; 16 bars of melody need 4/4 or 2/2",
        "deep/SONG.mid: bars 9-24 of track 'Tune' (of 2 tracks, 24 bars)",
    ]
    assert [row[0] for row in table(result.stdout)[1:]] == [
        "song-reconstructed.mid",
        "SONG-2-reconstructed.mid",
    ]
    manifest = manifest_of(tmp_path / "out")
    first, second = manifest.pop("melodies")
    assert manifest == {
        "model": load_model(tiny_model_folder).fingerprint,
        "seed": 1,
        "temperature": 0.0,
        "variations": None,
        "formats": [],
        "velocity": "flat",
        "swing": 50.0,
        "wav": False,
        "beside": [],
    }
    assert set(contents(tmp_path / "out")) == {
        *(first["file"], first["original"], second["file"], second["original"]),
        "manifest.json",
    }
    assert first == {
        "file": "song-reconstructed.mid",
        "source": "song.mid",
        "track": "Tune",
        "bars": [9, 24],
        "tempo": 90.0,
        "program": 41,
        "original": "song-original.mid",
        "notes_in": 64,
        **{key: second[key] for key in ("notes_out", "events", "onset_f1", "pitch_classes")},
    }
    assert second["source"] == "deep/SONG.mid"


def test_bars_count_the_melodies_that_are_decoded_and_written(
    reconstruct, song, waltz, bars_ended
):
    reconstruct("song.mid", "waltz.mid", "-o", "out", "--variations", 2)
    assert bars_ended == [(1, 1, ""), (1, 1, "")]
    reconstruct("song.mid", "out", "-o", "again")
    assert bars_ended[2:] == [(4, 4, ""), (4, 4, "")]


def test_json_is_the_manifest_and_how_many_failed(reconstruct, song, waltz, tmp_path):
    result = reconstruct("song.mid", "waltz.mid", "-o", "out", "--json")
    assert json.loads(result.stdout) == {**manifest_of(tmp_path / "out"), "failed": 1}


def test_variations_are_draws_from_the_posterior(
    reconstruct, table, song, tiny_model_folder, tmp_path
):
    result = reconstruct("song.mid", "-o", "out", "--variations", 3, "--seed", 5)
    assert result.exit_code == 0
    names = [f"song-variation-{number:03d}.mid" for number in (1, 2, 3)]
    assert [row[0] for row in table(result.stdout)[1:]] == names
    expected = vary(load_model(tiny_model_folder), read_melody(song).melody, 3, seed=5)
    found = [read_melody(tmp_path / "out" / name).melody for name in names]
    assert found == list(expected)
    assert (tmp_path / "out" / "song-original.mid").exists()
    assert manifest_of(tmp_path / "out")["variations"] == 3


def test_temperature_and_seed_reach_the_decoder(reconstruct, song, tiny_model_folder, tmp_path):
    reconstruct("song.mid", "-o", "again.mid", "--temperature", 1, "--seed", 7)
    model, before = load_model(tiny_model_folder), read_melody(song).melody
    expected = decode(model, [before], temperature=1.0, seed=7)[0]
    assert read_melody(tmp_path / "again.mid").melody == expected
    assert expected != decode(model, [before], temperature=1.0, seed=8)[0]


def test_bar_track_and_polyphony_choose_other_bars(reconstruct, song, tmp_path):
    result = reconstruct("song.mid", "-o", "a.mid", "--bar", 11, "--track", "tune")
    assert result.stderr.startswith("song.mid: bars 11-24 of track 'Tune' (of 2 tracks, 24 bars),")
    result = reconstruct("song.mid", "-o", "b.mid", "--track", 1, "--polyphony", "onset")
    assert result.stderr == "song.mid: bars 1-16 of track 'Bass' (of 2 tracks, 24 bars)\n"
    pitches = read_melody(tmp_path / "b-original.mid").melody.pitches
    assert np.array_equal(pitches, [36] * 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--track", "Oboe"], "song.mid has no track 'Oboe'; choose from 1 'Bass', 2 'Tune'"),
        (["--bar", "25"], "song.mid has no bar 25; its last is bar 24"),
        (["--bar", "1", "--track", "2"], "song.mid: bars 1-16 of track 'Tune'"),
    ],
    ids=str,
)
def test_a_choice_that_cannot_be_is_told(reconstruct, song, tmp_path, options, message):
    result = reconstruct("song.mid", "-o", "out", *options)
    assert message in result.stderr
    assert result.exit_code == (0 if "bars 1-16" in message else 1)
    assert (tmp_path / "out").exists() == (result.exit_code == 0)


def test_piano_rolls_are_written_on_demand(reconstruct, song, tmp_path):
    reconstruct("song.mid", "-o", "out", "--plot")
    reconstruct("song.mid", "-o", "again.mid", "--plot")
    for picture in ("out/song.png", "again.png"):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")
    assert manifest_of(tmp_path / "out")["melodies"][0]["picture"] == "song.png"


def test_names_that_no_font_and_no_encoding_knows_are_no_trouble(
    reconstruct, song, make_midi, tmp_path
):
    bad = tmp_path / b"bad\xff $x$ \x07.mid".decode("utf-8", "surrogateescape")
    make_midi(bad, [(0, "\x07 $\\x$", TUNE)])
    result = reconstruct(bad.name, "-o", "out", "--plot")
    assert result.exit_code == 0
    assert "\x07" not in result.output
    assert len(contents(tmp_path / "out")) == 4


def test_an_earlier_run_is_replaced_only_on_demand(reconstruct, song, tmp_path):
    reconstruct("song.mid", "-o", "out", "--variations", 1, "--plot", "--wav")
    (tmp_path / "out" / "song.wav").write_text("kept, though a picture has this name")
    before = contents(tmp_path / "out")
    refused = reconstruct("song.mid", "-o", "out")
    assert refused.exit_code == 2
    assert "out holds an earlier run; pass --overwrite to replace it" in refused.stderr
    assert contents(tmp_path / "out") == before
    assert reconstruct("song.mid", "-o", "out", "--overwrite").exit_code == 0
    assert set(contents(tmp_path / "out")) == {
        *("song-original.mid", "song-reconstructed.mid", "manifest.json", "song.wav")
    }


def test_a_file_is_replaced_only_on_demand(reconstruct, song, tmp_path):
    reconstruct("song.mid", "-o", "again.mid", "--wav")
    before = contents(tmp_path)
    assert {"again.wav", "again-original.wav"} < set(before)
    options = ("song.mid", "-o", "again.mid", "--temperature", 1, "--wav")
    refused = reconstruct(*options)
    assert refused.exit_code == 2
    assert "again-original.mid exists; pass --overwrite to replace it" in refused.stderr
    assert contents(tmp_path) == before
    assert reconstruct(*options, "--overwrite").exit_code == 0
    for name in ("again.mid", "again.wav"):
        assert contents(tmp_path)[name] != before[name]


def test_a_picture_of_the_users_own_is_kept(reconstruct, song, tmp_path):
    (tmp_path / "again.png").write_bytes(b"mine")
    assert reconstruct("song.mid", "-o", "again.mid").exit_code == 0
    assert reconstruct("song.mid", "-o", "again.mid", "--overwrite").exit_code == 0
    assert (tmp_path / "again.png").read_bytes() == b"mine"
    (tmp_path / "other.png").write_bytes(b"mine")
    refused = reconstruct("song.mid", "-o", "other.mid", "--plot")
    assert refused.exit_code == 2
    assert "other.png exists; pass --overwrite to replace it" in refused.stderr


def test_an_input_is_never_replaced(reconstruct, song, tmp_path):
    before = song.read_bytes()
    result = reconstruct("song.mid", "-o", "../" + tmp_path.name + "/song.mid", "--overwrite")
    assert result.exit_code == 2
    assert "song.mid is an input; choose another OUTPUT" in result.stderr
    assert song.read_bytes() == before
    reconstruct("song.mid", "-o", "out")
    kept = contents(tmp_path / "out")
    result = reconstruct("out/song-original.mid", "-o", "out", "--overwrite")
    assert (result.exit_code, contents(tmp_path / "out")) == (2, kept)
    (tmp_path / "out" / "tune-reconstructed.mid").write_bytes(before)
    (tmp_path / "tune.mid").write_bytes(before)
    both = ("tune.mid", "out/tune-reconstructed.mid")
    assert reconstruct(*both, "-o", "out", "--overwrite").exit_code == 2
    assert (tmp_path / "out" / "tune-reconstructed.mid").read_bytes() == before


def test_an_earlier_run_is_kept_when_there_is_nothing_to_replace_it(
    mc, reconstruct, song, waltz, tmp_path
):
    reconstruct("song.mid", "-o", "out")
    before = contents(tmp_path / "out")
    assert reconstruct("waltz.mid", "-o", "out", "--overwrite").exit_code == 1
    broken = ("reconstruct", "song.mid", "-o", "out", "--overwrite", "--model", "deep")
    assert mc(*broken).exit_code == 1
    assert contents(tmp_path / "out") == before


def test_broken_files_alone_write_nothing(reconstruct, tmp_path):
    (tmp_path / "bad.mid").write_bytes(b"not music")
    result = reconstruct("bad.mid", "-o", "out")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("Error: bad.mid: not a MIDI file")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["song.mid"], "Missing option '-o'"),
        (["-o", "out"], "Missing argument 'PATHS...'"),
        (["none.mid", "-o", "out"], "Path 'none.mid' does not exist"),
        (["song.mid", "waltz.mid", "-o", "a.mid"], "a.mid holds one melody; give a folder for"),
        (["song.mid", "-o", "a.MID", "--variations", "2"], "a.MID holds one melody; give a fold"),
        (["song.mid", "-o", "out", "--variations", "0"], "0 is not in the range x>=1"),
        (["song.mid", "-o", "out", "--temperature", "-1"], "-1.0 is not in the range x>=0"),
        (["song.mid", "-o", "."], ". holds other files; choose an empty or new folder"),
    ],
    ids=str,
)
def test_wrong_usage_is_told(reconstruct, song, waltz, options, message):
    result = reconstruct(*options)
    assert result.exit_code == 2
    assert message in result.stderr
