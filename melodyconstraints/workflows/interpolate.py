"""Melodies on the way from one to another.

>>> import melodyconstraints as mc
>>> tune, other = mc.Melody.from_notes([(0, 4, 60)]), mc.Melody.from_notes([(0, 8, 67)])
>>> len(mc.interpolate(mc.load_model(), tune, other, 5))
5
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Unpack

import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.interpolation import slerp
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.agreement import Agreement, agreement
from melodyconstraints.melody.midi.selection import FoundMelody
from melodyconstraints.melody.units import check_program, check_tempo
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling, SamplingOptions
from melodyconstraints.storage.arguments import checked
from melodyconstraints.workflows.seeds import check_count


@checked
def interpolate(
    model: MelodyVAE,
    start: Melody,
    end: Melody,
    n: int,
    **options: Unpack[SamplingOptions],
) -> Melodies:
    """``n`` melodies at even distances on the arc between the posterior means of two.

    The first and the last are reconstructions of ``start`` and ``end``; see
    :func:`melodyconstraints.latent.interpolation.slerp`.

    Args:
        options: see :func:`melodyconstraints.workflows.reconstruct.reconstruct`.

    Raises:
        UsageError: n below 2 or above :data:`.seeds.MOST_AT_ONCE`.
    """
    if n < 2:
        raise UsageError(f"n must be at least 2, for both ends, got {n}")
    check_count(n)
    first, last = encode(model, [start, end]).mean
    points = slerp(first, last, torch.linspace(0, 1, n))
    return MelodySampler(model, Sampling.of(options, temperature=0.0)).decode(points)


@dataclass(frozen=True)
class Step:
    """A melody on the way from one to another, and how a file plays it.

    Args:
        melody: melody of 16 bars.
        weight: share of the way, in [0, 1].
        tempo: quarters a minute.
        program: General MIDI program, from 0.
        like_start, like_end: agreement with the first and with the last melody.
    """

    melody: Melody
    weight: float
    tempo: float
    program: int
    like_start: Agreement
    like_end: Agreement


@checked
def interpolate_files(
    model: MelodyVAE,
    start: FoundMelody,
    end: FoundMelody,
    n: int,
    *,
    tempo: float | None = None,
    program: int | None = None,
    **options: Unpack[SamplingOptions],
) -> list[Step]:
    """``n`` steps between melodies of two files; tempo and program go the same way.

    Args:
        start, end: results of :func:`.selection.read_melody`.
        tempo: tempo of every step, in quarters a minute; if not given, it goes evenly from that of
            ``start`` to that of ``end``.
        program: General MIDI program of every step, from 0; if not given, that of ``start``, from
            the middle of the way on that of ``end``.
        options: see :func:`interpolate`.

    Raises:
        UsageError: n below 2 or above :data:`.seeds.MOST_AT_ONCE`, or a tempo or a program
            outside its range.
    """
    if tempo is not None:
        check_tempo(tempo)
    if program is not None:
        check_program(program)
    steps = []
    melodies = interpolate(model, start.melody, end.melody, n, **options)
    for number, melody in enumerate(melodies):
        weight = number / (n - 1)
        nearer = start if weight < 0.5 else end
        between = (1 - weight) * start.tempo + weight * end.tempo
        steps.append(
            Step(
                melody,
                weight,
                tempo=between if tempo is None else tempo,
                program=nearer.program if program is None else program,
                like_start=agreement(start.melody, melody),
                like_end=agreement(end.melody, melody),
            )
        )
    return steps
