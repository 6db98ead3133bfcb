"""Windows of 16 bars and the filters that decide which of them are melodies."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from melodyconstraints.datasets.windows import Drop, WindowSettings, drop_causes, windows
from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import HOLD, REST, Melodies, Melody, canonical_events

BAR, STEPS = 16, 256
C_MAJOR = [60, 62, 64, 65, 67, 69, 71, 72]
SCALE = [(8 * index, 8, pitch) for index, pitch in enumerate(4 * C_MAJOR)]


def cause_of(notes, **settings_):
    (cause,) = drop_causes(Melodies.stack([Melody.from_notes(notes)]), WindowSettings(**settings_))
    return cause


def voice(bars: int) -> np.ndarray:
    """One note a bar, whose pitch is the bar's number."""
    events = np.full(bars * BAR, HOLD)
    events[::BAR] = np.arange(bars)
    return events.astype(np.uint8)


@pytest.mark.parametrize(("bars", "count"), [(0, 0), (1, 0), (15, 0), (16, 1), (17, 2), (40, 25)])
def test_there_is_a_window_at_each_bar_that_has_16_bars_before_the_end(bars, count):
    assert windows(voice(bars)).shape == (count, STEPS)


def test_windows_are_one_bar_apart():
    cut = windows(voice(18))
    assert cut[:, ::BAR].tolist() == [list(range(first, first + 16)) for first in range(3)]


def test_a_window_that_begins_in_a_held_note_begins_with_that_note():
    events = voice(18)
    events[BAR] = HOLD  # the first bar's note, pitch 0, is held through the second bar
    first, second, third = windows(events)
    assert (first[0], second[0], third[0]) == (0, 0, 2)
    assert first[BAR] == HOLD
    assert second[1:].tolist() == events[BAR + 1 : BAR + STEPS].tolist()


def test_a_window_that_begins_in_silence_begins_with_a_rest():
    events = voice(17)
    events[4 : 2 * BAR] = REST
    assert windows(events)[1, 0] == REST


def test_windows_do_not_change_the_voice_they_are_cut_from():
    events = voice(17)
    events[BAR] = HOLD
    before = events.copy()
    windows(events)[:] = 0
    assert events.tolist() == before.tolist()


def _voice_from_runs(bars, runs):
    events = [e for event, n in runs for e in [event] + [HOLD] * (n - 1)]
    events = (events + [REST] * bars * BAR)[: bars * BAR]
    return canonical_events(np.array(events, dtype=int))


VOICES = st.builds(
    _voice_from_runs,
    st.integers(0, 24),
    st.lists(st.tuples(st.integers(0, REST), st.integers(1, 70)), max_size=40),
)


@settings(deadline=None, max_examples=50)
@given(VOICES)
def test_a_window_sounds_as_its_stretch_of_the_voice_does(events):
    sounding, pitch = [], None
    for event in events.tolist():
        pitch = {HOLD: pitch, REST: None}.get(event, event)
        sounding.append(pitch)
    cut = windows(events)
    for number, window in enumerate(cut):
        heard, pitch = [], None
        for event in window.tolist():
            pitch = {HOLD: pitch, REST: None}.get(event, event)
            heard.append(pitch)
        start = number * BAR
        assert heard == sounding[start : start + STEPS]
        assert window[1:].tolist() == events[start + 1 : start + STEPS].tolist()
        assert canonical_events(window).tolist() == window.tolist()
    assert len(cut) == max(len(events) // BAR - 15, 0)


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


def test_every_cause_but_duplicates_is_a_filters():
    assert set(DROPPED) == set(Drop) - {Drop.DUPLICATE}


def test_a_batch_is_judged_row_by_row():
    rows = [Melody.from_notes(notes) for notes in [SCALE, *DROPPED.values(), SCALE]]
    causes = drop_causes(Melodies.stack(rows), WindowSettings())
    assert causes.tolist() == [None, *DROPPED, None]
    assert drop_causes(Melodies.stack([]), WindowSettings()).shape == (0,)


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
