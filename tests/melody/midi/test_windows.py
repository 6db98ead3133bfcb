"""Windows of 16 bars and the filters that decide which of them are melodies."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import HOLD, REST, Melody, canonical_events
from melodyconstraints.melody.midi.windows import (
    DROPS,
    KEPT,
    Drop,
    WindowSettings,
    drop_causes,
    first_events,
    windows,
)

BAR, STEPS = 16, 256
C_MAJOR = [60, 62, 64, 65, 67, 69, 71, 72]
SCALE = [(8 * index, 8, pitch) for index, pitch in enumerate(4 * C_MAJOR)]


def causes_of(events, **settings_):
    """The causes by name, None for a window that passes."""
    causes, _ = drop_causes(np.asarray(events, np.uint8), WindowSettings(**settings_))
    return [None if cause == KEPT else DROPS[cause] for cause in causes]


def cause_of(notes, **settings_):
    (cause,) = causes_of(Melody.from_notes(notes).events, **settings_)
    return cause


def counts_of(events):
    return drop_causes(np.asarray(events, np.uint8), WindowSettings())[1].tolist()


def voice(bars: int) -> np.ndarray:
    """One note a bar, whose pitch is the bar's number."""
    events = np.full(bars * BAR, HOLD)
    events[::BAR] = np.arange(bars)
    return events.astype(np.uint8)


def all_windows(events):
    return windows(events, np.arange(max(len(events) // BAR - 15, 0)))


def heard(events):
    """The pitch that sounds at every step, None for silence."""
    sounding, pitch = [], None
    for event in np.asarray(events).tolist():
        pitch = {HOLD: pitch, REST: None}.get(event, event)
        sounding.append(pitch)
    return sounding


@pytest.mark.parametrize(("bars", "count"), [(0, 0), (1, 0), (15, 0), (16, 1), (17, 2), (40, 25)])
def test_there_is_a_window_at_each_bar_that_has_16_bars_before_the_end(bars, count):
    causes, notes = drop_causes(voice(bars), WindowSettings())
    assert (causes.shape, notes.shape) == ((count,), (count,))


def test_windows_are_cut_at_the_bars_asked_for_in_their_order():
    cut = windows(voice(20), np.array([4, 0, 3, 3]))
    assert cut.dtype == np.uint8
    assert cut[:, ::BAR].tolist() == [list(range(first, first + 16)) for first in (4, 0, 3, 3)]
    assert windows(voice(20), np.array([], np.int64)).shape == (0, STEPS)


def test_a_window_that_begins_in_a_held_note_begins_with_that_note():
    events = voice(18)
    events[BAR] = HOLD  # the first bar's note, pitch 0, is held through the second bar
    first, second, third = all_windows(events)
    assert (first[0], second[0], third[0]) == (0, 0, 2)
    assert first[BAR] == HOLD
    assert second[1:].tolist() == events[BAR + 1 : BAR + STEPS].tolist()
    assert counts_of(events) == [15, 16, 16]


def test_a_window_that_begins_in_silence_begins_with_a_rest():
    events = voice(17)
    events[4 : 2 * BAR] = REST
    assert all_windows(events)[1, 0] == REST


def test_windows_do_not_change_the_voice_they_are_cut_from():
    events = voice(17)
    events[BAR] = HOLD
    before = events.copy()
    all_windows(events)[:] = 0
    drop_causes(events, WindowSettings())
    assert events.tolist() == before.tolist()


def test_what_a_bar_begins_with():
    bars = [
        [60, *[HOLD] * 15],  # a note
        [HOLD] * 16,  # the same, held
        [HOLD, *[REST] * 14, 62],  # held into this bar; another starts at its end
        [HOLD] * 16,
        [REST] * 16,
        [REST, 64, *[HOLD] * 14],
        [REST, *[HOLD] * 15],  # a hold that holds nothing
        [65, *[HOLD] * 15],
    ]
    events = np.array(bars, np.uint8).ravel()
    assert first_events(events).tolist() == [60, 60, 60, 62, REST, REST, REST, 65]
    assert first_events(events[:0]).tolist() == []


def _voice_from_runs(bars, runs):
    """A voice of (event, steps), which go round until its bars are full."""
    events = [e for event, n in runs for e in [event] + [HOLD] * (n - 1)]
    around = -(-bars * BAR // len(events))
    return canonical_events(np.array(around * events)[: bars * BAR])


def runs(pitches, lengths):
    return st.lists(st.tuples(pitches, lengths), min_size=1, max_size=60)


# Voices of 16 to 40 bars. In some, notes and rests last for bars, and longer than a window; some
# go at random over all pitches, some stay within a few so that they pass the filters.
LONG = st.sampled_from([1, 2, 15, 16, 17, 31, 32, 33, 48, 255, 300])
VOICES = st.builds(
    _voice_from_runs,
    st.integers(16, 40),
    st.one_of(
        runs(st.integers(0, 127) | st.just(REST), st.integers(1, 70)),
        runs(st.integers(58, 66) | st.just(REST), LONG),
        runs(st.sampled_from([59, 60, 62, 64, 65, 66, REST]), st.integers(1, 12)),
        runs(st.sampled_from([20, 21, 60, 62, 64, 84, 85, 108, 109, REST]), st.integers(1, 12)),
    ),
)


@settings(max_examples=50)
@given(VOICES)
def test_a_window_sounds_as_its_stretch_of_the_voice_does(events):
    sounding = heard(events)
    cut = all_windows(events)
    for number, window in enumerate(cut):
        start = number * BAR
        assert heard(window) == sounding[start : start + STEPS]
        assert window[1:].tolist() == events[start + 1 : start + STEPS].tolist()
        assert canonical_events(window).tolist() == window.tolist()
    assert len(cut) == len(events) // BAR - 15


def rests_in_a_row(events):
    runs = re.findall("r+", "".join("r" if event == REST else "." for event in events))
    return max(map(len, runs), default=0)


def judged(window, chosen):
    """The first filter that a window does not pass, asked of the notes that are heard in it."""
    melody = Melody(window)
    pitches = set(melody.pitches.tolist())
    if set(melody.events[:BAR].tolist()) == {REST}:
        return Drop.SILENT_START
    if len(melody) < chosen.min_notes:
        return Drop.FEW_NOTES
    if len(pitches) < chosen.min_pitches:
        return Drop.FEW_PITCHES
    if rests_in_a_row(melody.events) > chosen.max_silence_steps:
        return Drop.LONG_SILENCE
    if min(pitches) < chosen.lowest or max(pitches) > chosen.highest:
        return Drop.PITCH_RANGE
    if max(pitches) - min(pitches) > chosen.max_span:
        return Drop.WIDE_SPAN
    return None


def window_by_slicing(events, bar):
    """A slice of the voice that begins with the note held into it, if there is one."""
    sounding = heard(events)
    window = events[bar * BAR : bar * BAR + STEPS].copy()
    if window[0] == HOLD:
        window[0] = sounding[bar * BAR]
    return window


SETTINGS = st.builds(
    WindowSettings,
    min_notes=st.sampled_from([1, 2, 5, 16]),
    min_pitches=st.sampled_from([1, 2, 5]),
    max_silence_steps=st.sampled_from([0, 15, 16, 31, 48, 256]),
    lowest=st.sampled_from([0, 21, 60]),
    highest=st.sampled_from([64, 108, 127]),
    max_span=st.sampled_from([0, 2, 6, 24, 127]),
)


@settings(max_examples=300)
@given(VOICES, SETTINGS)
def test_the_filters_judge_every_window_by_what_is_heard_in_it(events, chosen):
    causes, notes = drop_causes(events, chosen)
    for bar in range(len(events) // BAR - 15):
        window = window_by_slicing(events, bar)
        expected = judged(window, chosen)
        assert causes[bar] == (KEPT if expected is None else DROPS.index(expected)), bar
        assert notes[bar] == len(Melody(window)), bar
    assert len(causes) == len(notes) == len(events) // BAR - 15


@settings(max_examples=50)
@given(VOICES, SETTINGS)
def test_a_window_is_judged_as_if_it_stood_alone(events, chosen):
    cut = all_windows(events)
    alone = [drop_causes(window, chosen) for window in cut]
    causes, notes = drop_causes(events, chosen)
    assert causes.tolist() == [cause for (cause,), _ in alone]
    assert notes.tolist() == [count for _, (count,) in alone]


def test_a_note_held_for_33_bars_begins_every_window_and_is_its_only_note():
    events = np.full(33 * BAR, HOLD, np.uint8)
    events[0] = 60
    assert counts_of(events) == [1] * 18
    assert causes_of(events, min_notes=1, min_pitches=1) == [None] * 18
    assert all_windows(events)[:, 0].tolist() == [60] * 18


def test_a_held_note_counts_for_pitches_range_and_span():
    """Bar 0 begins with a high note that is held to the second step of bar 1."""
    rest_of_it = [60 + step % 5 for step in range(STEPS - 2)]
    events = [95, *[HOLD] * 15, HOLD, HOLD, *rest_of_it]
    assert causes_of(events) == [Drop.WIDE_SPAN] * 2
    assert causes_of(events, max_span=35) == [None, None]
    assert causes_of(events, max_span=35, highest=94) == [Drop.PITCH_RANGE] * 2
    assert causes_of(events, max_span=35, min_pitches=6) == [None, None]
    assert causes_of(events, max_span=35, min_pitches=7) == [Drop.FEW_PITCHES] * 2


def test_a_silence_counts_only_as_far_as_it_lies_in_the_window():
    """24 steps of rest at the end of bar 0, and 32 in the middle of bars 8 to 10."""
    events = np.array([60 + step % 5 for step in range(18 * BAR)], np.uint8)
    events[8 : 2 * BAR] = REST
    assert causes_of(events, max_silence_steps=23) == [Drop.LONG_SILENCE, Drop.SILENT_START, None]
    assert causes_of(events, max_silence_steps=24) == [None, Drop.SILENT_START, None]
    events[8 : 2 * BAR] = 60
    events[15 * BAR + 8 : 17 * BAR + 8] = REST
    # In the first window, 8 steps of them; in the second, 24; in the third, all.
    assert causes_of(events, max_silence_steps=7) == [Drop.LONG_SILENCE] * 3
    assert causes_of(events, max_silence_steps=8) == [None, *[Drop.LONG_SILENCE] * 2]
    assert causes_of(events, max_silence_steps=24) == [None, None, Drop.LONG_SILENCE]
    assert causes_of(events, max_silence_steps=32) == [None] * 3


def test_a_plain_tune_is_a_melody():
    assert cause_of(SCALE) is None


# Each breaks one filter and no other that is asked before it.
DROPPED = {
    Drop.SILENT_START: [note for note in SCALE if note[0] >= BAR],
    Drop.FEW_NOTES: [*SCALE[:8], (64, 192, 60)],
    Drop.FEW_PITCHES: [(8 * index, 8, 60 + index % 4) for index in range(32)],
    Drop.LONG_SILENCE: [note for note in SCALE if note[0] < 224],
    Drop.PITCH_RANGE: [(onset, n, pitch + 40) for onset, n, pitch in SCALE],
    Drop.WIDE_SPAN: [*SCALE[:-1], (248, 8, 85)],
}


@pytest.mark.parametrize("cause", DROPPED)
def test_each_filter_drops_its_example(cause):
    assert cause_of(DROPPED[cause]) is cause


def test_every_cause_is_a_filters_but_three_that_know_more_than_the_window():
    assert set(DROPPED) == set(Drop) - {Drop.OFF_GRID, Drop.DUPLICATE, Drop.FILE_LIMIT}
    assert set(DROPS) == set(Drop)


def test_the_first_cause_that_applies_is_counted():
    """Begin with a melody that breaks everything and mend it, one cause after the other."""
    notes = [(128, 1, 127), (129, 1, 20)]
    found = [cause_of(notes)]
    notes += [(0, 1, 60)]
    found.append(cause_of(notes))
    notes += [(2 * step, 1, 60) for step in range(1, 14)]
    found.append(cause_of(notes))
    notes += [(31, 1, 61), (33, 1, 62)]
    found.append(cause_of(notes))
    notes += [(step, 1, 60) for step in range(40, 256, 8) if step != 128]
    found.append(cause_of(notes))
    notes = [(step, n, min(max(pitch, 21), 108)) for step, n, pitch in notes]
    found.append(cause_of(notes))
    notes = [(step, n, min(max(pitch, 50), 74)) for step, n, pitch in notes]
    found.append(cause_of(notes))
    assert found == [
        Drop.SILENT_START,
        Drop.FEW_NOTES,
        Drop.FEW_PITCHES,
        Drop.LONG_SILENCE,
        Drop.PITCH_RANGE,
        Drop.WIDE_SPAN,
        None,
    ]


@pytest.mark.parametrize(("count", "cause"), [(15, Drop.FEW_NOTES), (16, None)])
def test_16_notes_are_enough(count, cause):
    notes = [(16 * bar, 16, C_MAJOR[bar % 8]) for bar in range(count)]
    assert cause_of(notes, max_silence_steps=256) is cause
    assert cause_of(notes, max_silence_steps=256, min_notes=count) is None


@pytest.mark.parametrize(("count", "cause"), [(4, Drop.FEW_PITCHES), (5, None)])
def test_five_different_pitches_are_enough(count, cause):
    assert cause_of([(8 * index, 8, 60 + index % count) for index in range(32)]) is cause


@pytest.mark.parametrize(("rests", "cause"), [(31, None), (32, Drop.LONG_SILENCE)])
@pytest.mark.parametrize("at", ["the middle", "the end"])
def test_a_silence_of_less_than_two_bars_is_allowed(rests, cause, at):
    start = 96 if at == "the middle" else STEPS - rests
    notes = [(step, 1, C_MAJOR[step % 8]) for step in range(STEPS)]
    assert cause_of([n for n in notes if not start <= n[0] < start + rests]) is cause


@pytest.mark.parametrize(
    ("lowest", "cause"), [(20, Drop.PITCH_RANGE), (21, None), (96, None), (97, Drop.PITCH_RANGE)]
)
def test_the_pitch_range_is_the_pianos_and_inclusive(lowest, cause):
    assert cause_of([(onset, n, pitch - 60 + lowest) for onset, n, pitch in SCALE]) is cause


@pytest.mark.parametrize(("highest", "cause"), [(84, None), (85, Drop.WIDE_SPAN)])
def test_two_octaves_are_the_widest_span(highest, cause):
    assert cause_of([*SCALE[:-1], (248, 8, highest)]) is cause
    assert cause_of([*SCALE[:-1], (248, 8, highest)], max_span=25) is None


def test_an_unknown_polyphony_is_refused():
    with pytest.raises(UsageError, match="polyphony must be one of skyline, onset, got 'loudest'"):
        WindowSettings(polyphony="loudest")


@pytest.mark.parametrize(
    ("name", "values", "text"),
    [
        ("min_notes", (0, 257), "from 1 to 256"),
        ("min_pitches", (0, 129), "from 1 to 128"),
        ("max_silence_steps", (-1, 257), "from 0 to 256"),
        ("lowest", (-1, 128), "from 0 to 127"),
        ("highest", (-1, 20, 128), "from 21 to 127"),
        ("max_span", (-1, 128), "from 0 to 127"),
        ("max_windows", (0,), "at least 1"),
    ],
)
def test_a_setting_that_no_melody_can_meet_is_refused(name, values, text):
    for value in values:
        with pytest.raises(UsageError, match=f"^{name} must be {text}, got {value}$"):
            WindowSettings(**{name: value})


@pytest.mark.parametrize(
    "given_",
    [
        {"min_notes": 1, "min_pitches": 1, "max_silence_steps": 0, "max_span": 0},
        {"min_notes": 256, "min_pitches": 128, "max_silence_steps": 256, "max_span": 127},
        {"lowest": 0, "highest": 0},
        {"lowest": 127, "highest": 127, "max_windows": 1},
    ],
)
def test_the_ends_of_what_settings_may_be_are_allowed(given_):
    chosen = WindowSettings(**given_)
    assert {name: getattr(chosen, name) for name in given_} == given_


def test_the_highest_pitch_is_not_below_the_lowest():
    with pytest.raises(UsageError, match=r"^highest must be from 60 to 127, got 59$"):
        WindowSettings(lowest=60, highest=59)


@pytest.mark.parametrize(
    ("most", "causes"),
    [(0.0, [Drop.OFF_GRID, Drop.OFF_GRID]), (0.1, [None, Drop.OFF_GRID]), (0.2, [None, None])],
)
def test_windows_with_a_larger_share_of_onsets_off_the_grid_are_dropped(most, causes):
    """17 bars of two notes each: 3 of 32 in the first window are off the grid, 4 in the second."""
    events = np.array(17 * [*range(60, 62), *[HOLD] * 14], np.uint8)
    off_grid = np.zeros(17 * BAR, bool)
    off_grid[[16, 32, 48, 16 * BAR]] = True
    settings = WindowSettings(min_pitches=2, max_off_grid=most)
    found, _ = drop_causes(events, settings, off_grid)
    assert [None if code == KEPT else DROPS[code] for code in found] == causes


def test_a_filter_comes_before_the_share_off_the_grid():
    events = np.full(16 * BAR, REST, np.uint8)
    settings = WindowSettings(max_off_grid=0)
    found, _ = drop_causes(events, settings, np.ones(16 * BAR, bool))
    assert [DROPS[code] for code in found] == [Drop.SILENT_START]
