"""What two melodies have in common, by hand."""

import pytest

from melodyconstraints.melody.events import Melody
from melodyconstraints.melody.metrics.agreement import agreement

TUNE = Melody.from_notes([(0, 4, 60), (4, 4, 62), (8, 8, 64), (128, 128, 65)])
EMPTY = Melody.from_notes([])


@pytest.mark.parametrize(
    ("name", "other", "events", "onset_f1", "pitch_classes"),
    [
        ("the same", TUNE.events, 1, 1, 1),
        (
            "an octave up",
            [e + 12 if e < 128 else e for e in TUNE.events.tolist()],
            252 / 256,
            0,
            1,
        ),
        # 112 of 256 steps are silent in the tune; no note agrees
        ("silence", EMPTY.events, 112 / 256, 0, 0),
        # 1 of the 4 and 2 notes agrees; C has a quarter here and a half there
        ("one note of two", [60, *[129] * 127, 61, *[128] * 127], 240 / 256, 2 / 6, 0.25),
    ],
)
def test_shares_by_hand(name, other, events, onset_f1, pitch_classes):
    for found in (agreement(TUNE, Melody(other)), agreement(Melody(other), TUNE)):
        assert found.as_dict() == pytest.approx(
            {"events": events, "onset_f1": onset_f1, "pitch_classes": pitch_classes}
        ), name


def test_silence_agrees_with_silence():
    assert agreement(EMPTY, EMPTY).as_dict() == {
        "events": 1.0,
        "onset_f1": 1.0,
        "pitch_classes": 1.0,
    }
