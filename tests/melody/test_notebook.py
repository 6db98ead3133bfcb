"""What a notebook shows of melodies."""

import base64
import io
import re
import wave

import numpy as np

from melodyconstraints.melody import notebook
from melodyconstraints.melody.events import Melodies, Melody


def test_a_melody_has_a_player_beside_its_picture():
    html = Melody.from_notes([(0, 4, 69)])._repr_html_()
    (picture,) = re.findall(r'<img src="data:image/png;base64,(.+?)"', html)
    (sound,) = re.findall(r'<audio controls src="data:audio/wav;base64,(.+?)"', html)
    assert base64.b64decode(picture).startswith(b"\x89PNG\r\n\x1a\n")
    with wave.open(io.BytesIO(base64.b64decode(sound))) as file:
        assert file.getnframes() == 33 * file.getframerate()
        samples = np.frombuffer(file.readframes(file.getframerate() // 2), "<i2")
    assert np.abs(np.fft.rfft(samples)).argmax() * 2 == 440


def test_of_many_melodies_the_first_are_shown(monkeypatch):
    monkeypatch.setattr(notebook, "MOST_SHOWN", 1)
    melodies = Melodies.stack([Melody.from_notes([(0, 1, 60 + k)]) for k in range(2)])
    assert melodies._repr_html_() == f"{melodies[0]._repr_html_()}<p>1 of 2 melodies</p>"
    assert melodies[:0]._repr_html_() == "<p>no melodies</p>"
