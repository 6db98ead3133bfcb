"""All notes of a batch in one list, against the melodies one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from melodyconstraints.melody.events import Melodies, Melody


@settings(max_examples=30)
@given(st.lists(st.lists(st.integers(0, 129), min_size=256, max_size=256), max_size=4))
def test_the_list_holds_the_notes_of_every_melody_in_order(events):
    batch = Melodies(np.array(events, np.uint8).reshape(-1, 256))
    notes, alone = batch.notes, list(batch)
    assert notes.melodies == len(batch)
    assert notes.rows.tolist() == [row for row, one in enumerate(alone) for _ in range(len(one))]
    for name in ("onsets", "pitches", "durations"):
        values = [value for one in alone for value in getattr(one, name)]
        assert getattr(notes, name).tolist() == values
        assert getattr(notes, name).dtype == np.int64
    inner = [value for one in alone for value in one.intervals]
    assert notes.intervals[notes.has_next(1)].tolist() == inner


def test_shares_and_totals_are_those_of_each_melody():
    silence, two = Melody.from_notes([]), Melody.from_notes([(0, 4, 60), (6, 2, 65)])
    notes = Melodies.stack([two, silence, two, Melody.from_notes([(3, 253, 1)])]).notes
    assert notes.total(notes.durations).tolist() == [6, 0, 6, 253]
    assert notes.share(notes.pitches == 65).tolist() == [0.5, 0, 0.5, 0]
    late = notes.onsets > 0
    assert notes.share(notes.pitches == 65, among=late).tolist() == [1, 0, 1, 0]
    assert notes.has_next(1).tolist() == [True, False, True, False]
    assert notes.has_next(2).tolist() == [False, False, False]
    assert notes.has_next(9).tolist() == []
    assert notes.gaps[notes.has_next(1)].tolist() == [6, 6]
