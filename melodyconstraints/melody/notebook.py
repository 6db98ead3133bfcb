"""Melodies in a notebook: a piano roll and a player of each, in HTML that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.plots import piano_roll_png
from melodyconstraints.melody.sound import pluck_melody, wav_bytes

MOST_SHOWN = 8
_RATE = 16_000
"""Samples a second: a player takes 1.4 MB of the notebook's file, at 44,100 it would be 3.9 MB."""


def melodies_html(melodies: Melodies | Sequence[Melody]) -> str:
    """The first eight melodies, and how many there are where that is not all."""
    shown = "".join(map(_melody_html, melodies[:MOST_SHOWN]))
    count = len(melodies)
    more = f"<p>{MOST_SHOWN} of {count} melodies</p>" if count > MOST_SHOWN else ""
    return f"{shown}{more}" or "<p>no melodies</p>"


def _melody_html(melody: Melody) -> str:
    picture = _data_url("image/png", piano_roll_png(melody))
    sound = _data_url("audio/wav", wav_bytes(pluck_melody(melody, rate=_RATE), _RATE))
    return (
        f'<div><img src="{picture}" alt="{melody!r}"><br>'
        f'<audio controls src="{sound}" aria-label="{melody!r}"></audio></div>'
    )


def _data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{b64encode(data).decode()}"
