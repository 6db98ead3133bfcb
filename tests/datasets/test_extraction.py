"""From a folder of MIDI files to a store: every file is accounted for, and nothing is lost."""

import json

import mido
import numpy as np
import pyarrow.parquet as pq
import pytest

from melodyconstraints.datasets.extraction import (
    Reject,
    extract_file,
    extract_melodies,
    find_midi_files,
    split_of,
)
from melodyconstraints.datasets.store import read_store
from melodyconstraints.datasets.windows import Drop, WindowSettings
from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import HOLD, REST
from melodyconstraints.melody.scores import read_score

EIGHTH = 240
SCALE = [60, 62, 64, 65, 67, 69, 71, 72]


def tune(seed: int, bars: int = 16) -> list[int]:
    """Eighth notes at random from a scale: passes every filter."""
    return np.random.default_rng(seed).choice(SCALE, 8 * bars).tolist()


def write_tune(path, pitches, *, channel=0, metre=(4, 4), tempo=500_000, parts=1):
    """Eighth notes by mido, on each of ``parts`` tracks."""
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    for part in range(parts):
        track = mido.MidiTrack()
        track.append(mido.MetaMessage("set_tempo", tempo=tempo))
        track.append(mido.MetaMessage("time_signature", numerator=metre[0], denominator=metre[1]))
        track.append(mido.Message("program_change", program=20 + part, channel=channel + part))
        for pitch in pitches:
            note = {"note": pitch + part, "channel": channel + part}
            track.append(mido.Message("note_on", **note))
            track.append(mido.Message("note_off", **note, time=EIGHTH))
        file.tracks.append(track)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)
    return path


def rows_of(store) -> list[dict]:
    return [
        row for part in sorted(store.glob("part-*")) for row in pq.read_table(part).to_pylist()
    ]


def ledger_of(store) -> dict[str, str]:
    lines = (store / "rejected.jsonl").read_text(encoding="utf-8").splitlines()
    return {entry["file"]: entry["reason"] for entry in map(json.loads, lines)}


def contents(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def zoo(tmp_path):
    """A file of every kind: two that give melodies and one for each reason that gives none."""
    folder = tmp_path / "midi"
    write_tune(folder / "a-good.mid", tune(0, bars=18), tempo=600_000)
    write_tune(folder / "deep" / "er" / "good.MIDI", tune(1), parts=2)
    write_tune(folder / "same-again.mid", tune(0, bars=18))
    write_tune(folder / "drums.mid", tune(2), channel=9)
    write_tune(folder / "waltz.mid", tune(3), metre=(3, 4))
    write_tune(folder / "short.mid", tune(4, bars=15))
    write_tune(folder / "monotone.mid", [60] * 128)
    write_tune(folder / "silent.mid", [])
    (folder / "garbage.mid").write_bytes(b"this is not music at all, is it?")
    (folder / "empty.kar").write_bytes(b"")
    (folder / "notes.txt").write_text("not a MIDI file, and does not say so")
    return folder


REASONS = {
    "same-again.mid": Reject.DUPLICATE,
    "drums.mid": Reject.ONLY_DRUMS,
    "waltz.mid": Reject.NO_FOUR_FOUR,
    "short.mid": Reject.TOO_SHORT,
    "monotone.mid": Reject.FILTERED,
    "silent.mid": Reject.NO_NOTES,
    "garbage.mid": Reject.UNREADABLE,
    "empty.kar": Reject.UNREADABLE,
}


def test_every_file_is_accepted_or_rejected_for_a_reason(zoo, tmp_path):
    summary = extract_melodies(zoo, tmp_path / "store")
    assert (summary.files, summary.accepted, summary.rejected) == (10, 2, 8)
    assert ledger_of(tmp_path / "store") == {file: str(why) for file, why in REASONS.items()}
    assert set(REASONS.values()) == set(Reject)
    assert summary.reasons == {str(why): list(REASONS.values()).count(why) for why in Reject}
    # Three windows of 18 bars, one of 16 in each of two parts; the copy's three were seen before.
    assert summary.melodies == 3 + 2
    assert summary.dropped_windows == {Drop.DUPLICATE: 3, Drop.FEW_PITCHES: 1}
    assert summary.splits.total() == summary.melodies


def test_the_summary_on_disk_has_the_counters_and_the_settings(zoo, tmp_path):
    chosen = WindowSettings(polyphony="onset", min_pitches=1)
    summary = extract_melodies(zoo, tmp_path / "store", chosen)
    on_disk = json.loads((tmp_path / "store" / "extraction.json").read_text())
    assert on_disk["counts"] == summary.as_dict()
    assert on_disk["settings"] == {
        "polyphony": "onset",
        "min_notes": 16,
        "min_pitches": 1,
        "max_silence_steps": 31,
        "lowest": 21,
        "highest": 108,
        "max_span": 24,
    }
    assert on_disk["counts"]["accepted"] == 3  # one pitch is enough now


def test_rows_say_where_each_melody_comes_from(zoo, tmp_path):
    extract_melodies(zoo, tmp_path / "store")
    rows = rows_of(tmp_path / "store")
    places = [(r["file"], r["track"], r["segment"], r["start_bar"], r["program"]) for r in rows]
    assert places == [
        *[("a-good.mid", 0, 0, bar, 20) for bar in range(3)],
        *[("deep/er/good.MIDI", part, 0, 0, 20 + part) for part in range(2)],
    ]
    assert [row["tempo"] for row in rows] == [100.0] * 3 + [120.0] * 2
    assert {row["notes"] for row in rows} == {128}
    for row, shift in zip(rows, [0, 0, 0, 0, 1], strict=True):
        pitches = tune(0, bars=18) if row["file"] == "a-good.mid" else tune(1)
        first = 8 * row["start_bar"]
        expected = [e for pitch in pitches[first : first + 128] for e in (pitch + shift, HOLD)]
        assert list(row["events"]) == expected
    assert len({row["hash"] for row in rows}) == len(rows)


def test_a_window_that_recurs_in_its_file_is_kept_once(tmp_path):
    write_tune(tmp_path / "midi" / "refrain.mid", 40 * tune(5, bars=1))
    summary = extract_melodies(tmp_path / "midi", tmp_path / "store")
    assert summary.melodies == 1
    assert summary.dropped_windows == {Drop.DUPLICATE: 24}


def test_the_result_does_not_depend_on_the_number_of_workers(tmp_path):
    for number in range(40):  # more than two tasks of 16 files
        write_tune(tmp_path / "midi" / f"{number:02d}.mid", tune(number % 30, bars=17))
    (tmp_path / "midi" / "20-garbage.mid").write_bytes(b"this is not music")
    one = extract_melodies(tmp_path / "midi", tmp_path / "one", jobs=1)
    two = extract_melodies(tmp_path / "midi", tmp_path / "two", jobs=2)
    assert one == two
    assert (one.files, one.accepted, one.melodies) == (41, 30, 60)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_the_callback_hears_of_every_file(zoo, tmp_path):
    heard = []
    extract_melodies(
        zoo,
        tmp_path / "store",
        callback=lambda so_far, files: heard.append(
            (so_far.files, so_far.accepted + so_far.rejected, files)
        ),
    )
    assert heard == [(number, number, 10) for number in range(1, 11)]


def test_a_callback_that_raises_leaves_nothing(zoo, tmp_path):
    def stop(so_far, files):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract_melodies(zoo, tmp_path / "store", callback=stop)
    assert [path.name for path in tmp_path.iterdir()] == ["midi"]


def test_a_store_in_the_way_is_refused_unless_it_may_be_replaced(zoo, tmp_path):
    extract_melodies(zoo, tmp_path / "store")
    with pytest.raises(UsageError, match="already holds a melody store; pass --overwrite"):
        extract_melodies(zoo, tmp_path / "store")
    again = extract_melodies(zoo, tmp_path / "store", exclude=["deep/*"], overwrite=True)
    assert again.melodies == len(read_store(tmp_path / "store")) == 3


def test_files_are_found_by_suffix_at_any_depth_in_path_order(zoo):
    names = [path.relative_to(zoo).as_posix() for path in find_midi_files(zoo)]
    assert names == [
        "a-good.mid",
        "deep/er/good.MIDI",
        "drums.mid",
        "empty.kar",
        "garbage.mid",
        "monotone.mid",
        "same-again.mid",
        "short.mid",
        "silent.mid",
        "waltz.mid",
    ]


def test_a_folder_that_is_named_like_a_file_is_passed_by(tmp_path):
    write_tune(tmp_path / "album.mid" / "tune.mid", tune(0))
    assert [path.name for path in find_midi_files(tmp_path)] == ["tune.mid"]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        (["deep/*"], {"a.mid", "also-deep.mid"}),
        (["*deep*"], {"a.mid"}),
        (["a.mid", "also-*"], {"deep/er/b.mid"}),
        (["*/b.mid"], {"a.mid", "also-deep.mid"}),
        (["b.mid", "DEEP/*"], {"a.mid", "also-deep.mid", "deep/er/b.mid"}),
        ([], {"a.mid", "also-deep.mid", "deep/er/b.mid"}),
    ],
)
def test_excluded_patterns_are_matched_against_the_path_below_the_folder(tmp_path, patterns, left):
    for name in ("a.mid", "also-deep.mid", "deep/er/b.mid"):
        write_tune(tmp_path / name, [60])
    found = find_midi_files(tmp_path, iter(patterns))
    assert {path.relative_to(tmp_path).as_posix() for path in found} == left


def test_a_folder_that_is_none_is_refused(tmp_path):
    file = write_tune(tmp_path / "tune.mid", [60])
    for folder in (tmp_path / "none", file):
        with pytest.raises(UsageError, match="is not a folder; give one that holds MIDI files"):
            extract_melodies(folder, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_folder_without_midi_files_is_refused(tmp_path):
    (tmp_path / "midi").mkdir()
    (tmp_path / "midi" / "song.mp3").write_bytes(b"ID3")
    text = r"midi holds no MIDI file \(\.kar, \.mid, \.midi, \.rmi\)"
    with pytest.raises(UsageError, match=text):
        extract_melodies(tmp_path / "midi", tmp_path / "store")
    write_tune(tmp_path / "midi" / "tune.mid", tune(0))
    with pytest.raises(UsageError, match=text):
        extract_melodies(tmp_path / "midi", tmp_path / "store", exclude=["*.mid"])


def test_a_file_that_vanishes_is_unreadable(tmp_path):
    result = extract_file(tmp_path / "gone.mid", tmp_path, WindowSettings())
    assert (result.file, result.reason, result.rows) == ("gone.mid", Reject.UNREADABLE, [])
    assert "No such file" in result.detail


def test_the_ledger_says_what_was_wrong_with_an_unreadable_file(zoo, tmp_path):
    extract_melodies(zoo, tmp_path / "store")
    lines = (tmp_path / "store" / "rejected.jsonl").read_text().splitlines()
    details = {entry["file"]: entry.get("detail") for entry in map(json.loads, lines)}
    assert details["empty.kar"] == "the file is empty"
    assert details["garbage.mid"].startswith("not a MIDI file that can be parsed")
    assert details["waltz.mid"] is None


def test_drums_beside_a_tune_are_not_extracted(tmp_path):
    write_tune(tmp_path / "midi" / "band.mid", tune(0), channel=8, parts=2)
    summary = extract_melodies(tmp_path / "midi", tmp_path / "store")
    assert (summary.accepted, summary.melodies) == (1, 1)
    assert rows_of(tmp_path / "store")[0]["track"] == 0


def test_splits_are_shared_out_by_the_files_bytes_as_stated():
    """The standard deviation of a share is 0.0021 at most; these draws never change."""
    draws = 20_000
    splits = [split_of(str(number).encode()) for number in range(draws)]
    for split, share in [("test", 0.05), ("validation", 0.05), ("train", 0.90)]:
        assert splits.count(split) / draws == pytest.approx(share, abs=0.008)


def test_all_melodies_of_a_file_share_a_split_wherever_it_lies(tmp_path):
    for number in range(60):
        write_tune(tmp_path / "midi" / f"{number}.mid", tune(number, bars=18))
    summary = extract_melodies(tmp_path / "midi", tmp_path / "store")
    rows = rows_of(tmp_path / "store")
    assert len(rows) == 180
    for row in rows:
        assert row["split"] == split_of((tmp_path / "midi" / row["file"]).read_bytes())
    for split in ("train", "validation", "test"):
        assert len(read_store(tmp_path / "store", split)) == summary.splits[split]
        assert summary.splits[split] % 3 == 0
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "midi" / "0.mid").rename(tmp_path / "elsewhere" / "renamed.mid")
    moved = extract_melodies(tmp_path / "elsewhere", tmp_path / "moved")
    assert list(moved.splits) == [next(r["split"] for r in rows if r["file"] == "0.mid")]


def sounding_by_pretty_midi(part, first_tick, midi):
    """The highest sounding pitch of each of 256 steps, -1 for silence, note by note."""
    highest = np.full(256, -1)
    for note in part.notes:
        ticks = [
            midi.time_to_tick(note.start) - first_tick,
            midi.time_to_tick(note.end) - first_tick,
        ]
        start, end = (int(np.floor(tick * 4 / midi.resolution + 0.5)) for tick in ticks)
        for step in range(max(start, 0), min(max(end, start + 1), 256)):
            highest[step] = max(highest[step], note.pitch)
    return highest


def test_melodies_of_real_files_sound_as_pretty_midi_reads_those_files(real_midi, tmp_path):
    import pretty_midi

    folder = tmp_path / "midi"
    for collection, count in [("nottingham", 8), ("ryans-mammoth", 8), ("pop909", 2)]:
        (folder / collection).mkdir(parents=True)
        for path in sorted((real_midi / collection).glob("*.mid"))[:count]:
            (folder / collection / path.name).write_bytes(path.read_bytes())
    summary = extract_melodies(folder, tmp_path / "store")
    assert summary.accepted + summary.rejected == summary.files == 18
    rows = rows_of(tmp_path / "store")
    assert len(rows) == summary.melodies > 100
    assert set(read_store(tmp_path / "store").sources) == {"nottingham", "ryans-mammoth", "pop909"}
    for row in rows[::5]:
        midi = pretty_midi.PrettyMIDI(str(folder / row["file"]))
        segment = read_score(folder / row["file"]).segments[row["segment"]]
        first_tick = segment.start_tick + row["start_bar"] * 4 * midi.resolution
        sounding, pitch = [], -1
        for event in row["events"]:
            pitch = {HOLD: pitch, REST: -1}.get(event, event)
            sounding.append(pitch)
        part = midi.instruments[row["track"]]
        expected = sounding_by_pretty_midi(part, first_tick, midi).tolist()
        assert sounding == expected, (row["file"], row["track"], row["start_bar"])
        assert part.program == row["program"]
