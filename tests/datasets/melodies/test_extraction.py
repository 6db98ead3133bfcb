"""From MIDI files to melodies: what each file gives, or why it gives nothing."""

import hashlib
from dataclasses import replace
from itertools import count
from multiprocessing import resource_tracker
from pathlib import Path

import mido
import numpy as np
import psutil
import pytest

from melodyconstraints.datasets.melodies import extraction
from melodyconstraints.datasets.melodies.extraction import (
    FILES_PER_TASK,
    PLACE,
    FileLimits,
    FileMelodies,
    Reject,
    extract_melodies,
    extract_task,
    in_tasks,
)
from melodyconstraints.datasets.melodies.files import LocalFolder
from melodyconstraints.datasets.melodies.hashing import KEYS
from melodyconstraints.datasets.melodies.workers import Fault
from melodyconstraints.errors import UsageError
from melodyconstraints.melody import jit
from melodyconstraints.melody.events import HOLD, REST
from melodyconstraints.melody.midi.scores import read_score
from melodyconstraints.melody.midi.windows import DROPS, Drop, WindowSettings
from melodyconstraints.melody.quantising import POLYPHONY


@pytest.fixture
def one(tmp_path, write_tune):
    """What a file of these parts gives."""

    def extract(*parts, settings=None, limits=None, unique="exact", **how):
        path = write_tune(tmp_path / "one.mid", *parts, **how)
        [found] = extract_melodies([path], settings, limits=limits, unique=unique)
        return found

    return extract


def dropped(found) -> dict[str, int]:
    return {drop: int(n) for drop, n in zip(DROPS, found.dropped, strict=True) if n}


def places(found, *columns) -> list:
    chosen = [PLACE.index(column) for column in columns]
    return [tuple(row) for row in found.places[:, chosen].tolist()]


def workers() -> list[psutil.Process]:
    tracker = resource_tracker._resource_tracker._pid
    return [child for child in psutil.Process().children() if child.pid != tracker]


def as_values(found: FileMelodies) -> dict:
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in vars(found).items()
    }


# What a file gives


def test_every_window_of_every_part_says_where_it_stands(one, tune):
    high, low = tune(0, bars=18), [pitch - 12 for pitch in tune(1, bars=17)]
    found = one(high, low, tempo=600_000)
    assert (found.reason, found.detail, found.recovered) == (None, "", "")
    assert found.tempos.tolist() == [100.0] * 5
    assert places(found, "track", "segment", "start_bar", "program") == [
        *[(0, 0, bar, 20) for bar in range(3)],
        *[(1, 0, bar, 21) for bar in range(2)],
    ]
    assert places(found, "notes") == [(128,)] * 5
    for events, (track, bar) in zip(
        found.events.tolist(), places(found, "track", "start_bar"), strict=True
    ):
        pitches = [high, low][track][8 * bar : 8 * bar + 128]
        assert events == [event for pitch in pitches for event in (pitch, HOLD)]


def test_each_stretch_of_4_4_is_a_segment(tmp_path, tune):
    import mido

    track = mido.MidiTrack()
    for metre, bars in [((4, 4), 16), ((3, 4), 2), ((2, 2), 17)]:
        numerator, denominator = metre
        track.append(
            mido.MetaMessage("time_signature", numerator=numerator, denominator=denominator)
        )
        eighths = bars * 8 * numerator // denominator
        for pitch in tune(bars, bars=17)[:eighths]:
            track.append(mido.Message("note_on", note=pitch))
            track.append(mido.Message("note_off", note=pitch, time=240))
    mido.MidiFile(tracks=[track], ticks_per_beat=480).save(tmp_path / "one.mid")
    [found] = extract_melodies([tmp_path / "one.mid"])
    for alone in (tmp_path / "one.mid", str(tmp_path / "one.mid")):
        assert [one.file for one in extract_melodies(alone)] == [str(tmp_path / "one.mid")]
    assert places(found, "segment", "start_bar") == [(0, 0), (1, 0), (1, 1)]
    assert found.events[1, ::2].tolist() == tune(17, bars=17)[:128]


def test_melodies_are_a_batch_with_views(one, tune):
    found = one(tune(0, bars=17))
    assert len(found.melodies) == 2
    assert found.melodies.pitches[0, ::2].tolist() == tune(0, bars=17)[:128]
    assert found.melodies.note_counts.tolist() == [128, 128]


def test_a_file_that_gave_nothing_has_no_melodies(one):
    assert len(one([60] * 128).melodies) == 0


def test_the_digest_is_of_the_files_bytes(tmp_path, write_tune, tune):
    path = write_tune(tmp_path / "one.mid", tune(0))
    (tmp_path / "garbage.mid").write_bytes(b"this is not music")
    good, bad = extract_melodies([path, tmp_path / "garbage.mid"])
    assert f"{good.digest:016x}" == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    assert f"{bad.digest:016x}" == hashlib.sha256(b"this is not music").hexdigest()[:16]


def test_drums_beside_a_tune_are_not_extracted(one, tune):
    found = one(tune(0), tune(1), channel=8)
    assert places(found, "track") == [(0,)]


def test_the_rule_of_polyphony_is_the_settings(tmp_path):
    """A high note held for a bar covers what starts below it: 16 notes, or all 128."""
    import mido

    file = mido.MidiFile(ticks_per_beat=480)
    track = file.add_track()
    for bar in range(16):
        track.append(mido.Message("note_on", note=90 + bar % 5))
        for pitch in [60, 62, 64, 65, 67, 65, 64, 62]:
            track.append(mido.Message("note_on", note=pitch))
            track.append(mido.Message("note_off", note=pitch, time=240))
        track.append(mido.Message("note_off", note=90 + bar % 5))
    file.save(tmp_path / "one.mid")
    for polyphony, notes in [("skyline", 16), ("onset", 16 * 8)]:
        settings = WindowSettings(polyphony=polyphony, max_span=127)
        [found] = extract_melodies([tmp_path / "one.mid"], settings)
        assert places(found, "notes") == [(notes,)]


# Why a file gives nothing


NOTHING = {
    Reject.UNREADABLE: b"this is not music at all, is it?",
    Reject.TOO_LARGE: b"MThd" + bytes(9_997),
    Reject.TOO_MANY_NOTES: ([60] * 101, [64] * 100),
    Reject.NO_NOTES: ([],),
    Reject.ONLY_DRUMS: ([60] * 128,),
    Reject.NO_FOUR_FOUR: ([60] * 128,),
    Reject.TOO_SHORT: ([60] * 119,),
    Reject.FILTERED: ([60] * 128,),
}
HOW = {Reject.ONLY_DRUMS: {"channel": 9}, Reject.NO_FOUR_FOUR: {"metre": (3, 4)}}
LIMITS = FileLimits(max_bytes=10_000, max_notes=200)


@pytest.mark.parametrize("reason", NOTHING)
def test_a_file_without_melodies_has_the_reason(tmp_path, write_tune, reason):
    path, what = tmp_path / "file.mid", NOTHING[reason]
    if isinstance(what, bytes):
        path.write_bytes(what)
    else:
        write_tune(path, *what, **HOW.get(reason, {}))
    [found] = extract_melodies([path], limits=LIMITS)
    assert found.reason is reason
    assert (found.file, len(found.events), len(found.sequences)) == (str(path), 0, 0)
    details = {
        Reject.UNREADABLE: found.detail,
        Reject.TOO_LARGE: "10,001 bytes; at most 10,000 are read",
        Reject.TOO_MANY_NOTES: "201 notes; at most 200 are taken",
    }
    assert found.detail == details.get(reason, "")
    assert bool(found.detail) == (reason in details)


def test_all_reasons_are_met_here():
    """Those of the workers in test_building.py."""
    faults = {Reject(fault.value) for fault in Fault}
    assert NOTHING.keys() | faults | {Reject.DUPLICATE} == set(Reject)


def test_a_file_at_its_limits_is_taken(tmp_path, write_tune, tune):
    path = write_tune(tmp_path / "one.mid", tune(0), tune(1)[:72])
    limits = FileLimits(max_bytes=path.stat().st_size, max_notes=200)
    [found] = extract_melodies([path], limits=limits)
    assert found.reason is None
    [found] = extract_melodies([path], limits=replace(limits, max_bytes=limits.max_bytes - 1))
    assert found.reason is Reject.TOO_LARGE


@pytest.mark.parametrize(
    ("content", "detail"),
    [(None, "cannot be read: No such file or directory"), (b"", "the file is empty")],
)
def test_what_cannot_be_read_says_why(tmp_path, content, detail):
    if content is not None:
        (tmp_path / "file.mid").write_bytes(content)
    [found] = extract_melodies([tmp_path / "file.mid"])
    assert (found.reason, found.detail) == (Reject.UNREADABLE, detail)


def test_details_are_printable_and_short(tmp_path, monkeypatch, write_tune, tune):
    hostile = "\x1b[31mred\n" + 300 * "x"
    harmless = "\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}" + 191 * "x"
    score = read_score(write_tune(tmp_path / "one.mid", tune(0)))
    monkeypatch.setattr(extraction, "read_score", lambda data: replace(score, recovered=hostile))
    [found] = extract_melodies([tmp_path / "one.mid"])
    assert (found.recovered, len(harmless)) == (harmless, 200)

    def refuse(data):
        raise extraction.MidiError(hostile)

    monkeypatch.setattr(extraction, "read_score", refuse)
    [found] = extract_melodies([tmp_path / "one.mid"])
    assert found.detail == harmless


REST_BAR = 8 * [None]
DROPPED = {
    Drop.SILENT_START: REST_BAR + 15 * [60, 62, 64, 65, 67, 69, 71, 72],
    Drop.FEW_NOTES: [*(7 * [60, *REST_BAR, 62, *REST_BAR]), 60],
    Drop.FEW_PITCHES: 32 * [60, 62, 64, 65],
    Drop.LONG_SILENCE: [60, 62, 64, 65, 67, 69, 71, 72] + 2 * REST_BAR + 13 * [*range(60, 68)],
    Drop.PITCH_RANGE: 16 * [20, 22, 24, 25, 27, 29, 31, 32],
    Drop.WIDE_SPAN: 16 * [60, 62, 64, 65, 67, 69, 71, 85],
}


@pytest.mark.parametrize("cause", DROPPED)
def test_a_window_is_dropped_for_its_cause(one, cause):
    found = one(DROPPED[cause])
    assert (found.reason, dropped(found)) == (Reject.FILTERED, {cause: 1})


def test_windows_of_triplets_are_told_and_dropped_if_asked(tmp_path):
    """16 bars of twelve triplets of eighths; two of three onsets are off the grid."""
    file = mido.MidiFile(ticks_per_beat=480, tracks=[mido.MidiTrack()])
    for number in range(16 * 12):
        file.tracks[0].append(mido.Message("note_on", note=60 + number % 7))
        file.tracks[0].append(mido.Message("note_off", note=60 + number % 7, time=160))
    file.save(tmp_path / "triplets.mid")
    [found] = extract_melodies([tmp_path / "triplets.mid"])
    assert (len(found.events), found.onsets, found.off_grid) == (1, 192, 128)
    [found] = extract_melodies([tmp_path / "triplets.mid"], WindowSettings(max_off_grid=0.6))
    assert (found.reason, dropped(found)) == (Reject.FILTERED, {Drop.OFF_GRID: 1})
    [found] = extract_melodies([tmp_path / "triplets.mid"], WindowSettings(max_off_grid=0.7))
    assert len(found.events) == 1


def test_all_causes_are_met_here():
    assert DROPPED.keys() | {Drop.OFF_GRID, Drop.FILE_LIMIT, Drop.DUPLICATE} == set(DROPS)


# At most so many windows a file


@pytest.mark.parametrize(
    ("most", "bars"),
    [
        (1, [0]),
        (2, [0, 19]),
        (4, [0, 6, 12, 19]),
        (20, [*range(20)]),
        (21, [*range(20)]),
    ],
)
def test_of_too_many_windows_some_are_taken_at_even_distances(one, tune, most, bars):
    found = one(tune(0, bars=35), settings=WindowSettings(max_windows=most))
    assert places(found, "start_bar") == [(bar,) for bar in bars]
    assert dropped(found) == ({Drop.FILE_LIMIT: 20 - most} if most < 20 else {})
    assert found.events[:, 0].tolist() == [tune(0, bars=35)[8 * bar] for bar in bars]


def test_the_limit_counts_the_windows_of_all_parts(one, tune):
    found = one(tune(0, bars=18), tune(1, bars=18), settings=WindowSettings(max_windows=3))
    assert places(found, "track", "start_bar") == [(0, 0), (0, 2), (1, 2)]
    assert dropped(found) == {Drop.FILE_LIMIT: 3}


def test_windows_that_fail_a_filter_do_not_count_towards_the_limit(one, tune):
    found = one(tune(0, bars=16) + 16 * [60] * 8, settings=WindowSettings(max_windows=100))
    passed = len(found.events)
    assert dropped(found) == {Drop.FEW_PITCHES: 17 - passed}
    again = one(tune(0, bars=16) + 16 * [60] * 8, settings=WindowSettings(max_windows=passed))
    assert dropped(again) == dropped(found)


# Melodies that were seen before


def up(pitches, semitones):
    return [pitch + semitones for pitch in pitches]


@pytest.fixture
def five(tmp_path, write_tune, tune):
    """A tune of two windows, its copy, a third higher, its second window alone, another."""
    whole = tune(0, bars=17)
    return [
        write_tune(tmp_path / "1-tune.mid", whole),
        write_tune(tmp_path / "2-copy.mid", whole),
        write_tune(tmp_path / "3-higher.mid", up(whole, 4)),
        write_tune(tmp_path / "4-part.mid", whole[8:]),
        write_tune(tmp_path / "5-other.mid", tune(1)),
    ]


@pytest.mark.parametrize(
    ("unique", "melodies"),
    [("exact", [2, 0, 2, 0, 1]), ("transposed", [2, 0, 0, 0, 1]), ("none", [2, 2, 2, 1, 1])],
)
def test_a_melody_is_kept_where_it_comes_first(five, unique, melodies):
    found = list(extract_melodies(five, unique=unique))
    assert [len(file.events) for file in found] == melodies
    windows = [2, 2, 2, 1, 1]
    for file, kept, all_ in zip(found, melodies, windows, strict=True):
        assert file.reason is (None if kept else Reject.DUPLICATE)
        assert len(file.places) == kept
        assert dropped(file) == ({Drop.DUPLICATE: all_ - kept} if kept < all_ else {})


def test_the_order_of_the_paths_decides_which_of_equal_melodies_is_kept(five):
    found = list(extract_melodies(reversed(five)))
    assert [len(file.events) for file in found] == [1, 1, 2, 1, 0]
    assert [Path(file.file).name[0] for file in found] == ["5", "4", "3", "2", "1"]
    assert places(found[3], "start_bar") == [(0,)]  # its other window was there already


@pytest.mark.parametrize(("unique", "melodies"), [("exact", 1), ("none", 25)])
def test_a_window_that_recurs_in_its_file_is_kept_once(one, tune, unique, melodies):
    found = one(40 * tune(5, bars=1), unique=unique, settings=WindowSettings(min_pitches=1))
    assert len(found.events) == melodies
    assert dropped(found) == ({Drop.DUPLICATE: 24} if unique == "exact" else {})


def test_a_verse_that_rises_is_one_melody_only_in_any_key(one, tune):
    verse = tune(0)
    assert len(one(verse + up(verse, 2)).events) == 17
    found = one(verse + up(verse, 2), unique="transposed")
    assert places(found, "start_bar") == [(bar,) for bar in range(16)]
    assert dropped(found) == {Drop.DUPLICATE: 1}


def test_an_unknown_kind_of_uniqueness_is_refused():
    with pytest.raises(
        UsageError, match="unique must be one of exact, transposed, none, got 'nearly'"
    ):
        next(extract_melodies([], unique="nearly"))


# The generator


def test_each_path_has_its_answer_in_its_turn(tmp_path, write_tune, tune):
    write_tune(tmp_path / "b.mid", tune(1))
    write_tune(tmp_path / "a.mid", tune(0))
    paths = [tmp_path / "b.mid", str(tmp_path / "none.mid"), tmp_path / "a.mid"]
    found = list(extract_melodies(paths))
    assert [file.file for file in found] == [str(path) for path in paths]
    assert [file.reason for file in found] == [None, Reject.UNREADABLE, None]
    assert [file.events[0, 0] for file in found[::2]] == [tune(1)[0], tune(0)[0]]


def test_no_paths_give_nothing():
    assert list(extract_melodies([])) == []


def test_files_go_to_workers_by_the_task():
    tasks = list(in_tasks(map(str, range(2 * FILES_PER_TASK + 2))))
    assert [len(task) for task in tasks] == [FILES_PER_TASK, FILES_PER_TASK, 2]
    assert [int(name) for task in tasks for name in task] == list(range(2 * FILES_PER_TASK + 2))


def test_paths_are_drawn_as_they_are_needed(tmp_path):
    drawn = 0

    def paths():
        nonlocal drawn
        for drawn in count(1):
            yield tmp_path / f"{drawn}.mid"

    found = extract_melodies(paths())
    reasons = {next(found).reason for _ in range(FILES_PER_TASK)}
    assert (reasons, drawn) == ({Reject.UNREADABLE}, FILES_PER_TASK)
    next(found)
    assert drawn == 2 * FILES_PER_TASK
    found.close()


def test_one_worker_finds_the_same_and_goes_when_the_generator_is_closed(five, monkeypatch):
    monkeypatch.setattr(extraction, "compile_loops", zip)  # in its place, as few are read
    here = [as_values(file) for file in extract_melodies(five)]
    found = extract_melodies([*five, *(f"{n}.mid" for n in range(1000))], jobs=1)
    assert [as_values(next(found)) for _ in five] == here
    assert len(workers()) == 1
    found.close()
    assert workers() == []


def test_items_given_up_are_not_touched(tmp_path, write_tune, tune):
    write_tune(tmp_path / "a.mid", tune(0))
    begun = []
    found = extract_task(
        ["a.mid", "hangs.mid", "a.mid"],
        {1: Fault.TIME},
        begun.append,
        folder=LocalFolder(str(tmp_path)),
        settings=WindowSettings(),
        limits=FileLimits(),
    )
    assert begun == [0, 2, None]  # None: no item is at work any more
    assert [file.reason for file in found] == [None, Reject.TIME, None]
    assert [file.file for file in found] == ["a.mid", "hangs.mid", "a.mid"]


# Against another reader


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


def test_melodies_of_real_files_sound_as_pretty_midi_reads_those_files(real_midi):
    import pretty_midi

    paths = [
        path
        for collection, files in [("nottingham", 8), ("ryans-mammoth", 8), ("pop909", 2)]
        for path in sorted((real_midi / collection).glob("*.mid"))[:files]
    ]
    found = list(extract_melodies(paths))
    assert len(found) == 18
    assert sum(len(file.events) for file in found) > 100
    for file in found:
        midi, score = pretty_midi.PrettyMIDI(file.file), read_score(Path(file.file))
        for events, place in list(zip(file.events, file.places.tolist(), strict=True))[::5]:
            track, segment, start_bar, program, notes = place
            first_tick = (
                score.timelines[0].segments[segment].start_tick + start_bar * 4 * midi.resolution
            )
            sounding, pitch = [], -1
            for event in events.tolist():
                pitch = {HOLD: pitch, REST: -1}.get(event, event)
                sounding.append(pitch)
            part = midi.instruments[track]
            expected = sounding_by_pretty_midi(part, first_tick, midi).tolist()
            assert sounding == expected, (file.file, track, start_bar)
            assert (part.program, (events < HOLD).sum()) == (program, notes)


def test_files_are_read_alike_interpreted_and_compiled(tmp_path, monkeypatch, write_tune, tune):
    """Melodies, places, hashes, keys and duplicates of chords, gaps and held notes."""
    paths = []
    for number in range(6):
        pitches = [tune(number + 10 * part, bars=17) for part in range(3)]
        for part, gap in enumerate((5, 7, 11)):
            pitches[part][::gap] = [None] * len(pitches[part][::gap])
        paths.append(write_tune(tmp_path / f"{number}.mid", *pitches))
    paths.append(write_tune(tmp_path / "again.mid", tune(0, bars=20), tune(0, bars=20)))
    settings = [WindowSettings(polyphony=name, max_silence_steps=99) for name in POLYPHONY]

    def read():
        found = [extract_melodies(paths, each, unique=key) for each in settings for key in KEYS]
        return [as_values(file) for files in found for file in files]

    monkeypatch.setattr(jit, "_spent", [float("-inf")])
    interpreted = read()
    monkeypatch.setattr(jit, "_spent", [float("inf")])
    assert interpreted == read()
    assert any(values["events"] for values in interpreted)
