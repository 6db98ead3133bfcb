"""Terms added to a generator's logits so that drawn melodies count as real ones do.

A generator that has learned from true bars before, and draws likely notes, errs where its
own bars follow one another: twice as many tritones, bars that recall fewer notes of earlier ones.
Such shares can be counted: melodies are drawn, each share's distance from that of the training
melodies is added to its logit, and so on for six rounds (:func:`.measure_calibration.calibrate`).
It is iterative scaling of the generator's distribution (Darroch and Ratcliff, "Generalized
iterative scaling for log-linear models", Annals of Mathematical Statistics 1972).

Shapes: ``B`` melodies, ``N`` bars, ``V`` = 72 tokens.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from melodyconstraints.melody.units import BARS, STEPS_PER_BAR, STEPS_PER_QUARTER
from melodyconstraints.melody.vae.staff.bars import ANY, degree_of
from melodyconstraints.melody.vae.staff.notation import (
    LINES,
    REACH,
    SCALE,
    TOKEN_HOLD,
    TOKENS,
    kinds,
)

KINDS = 3
"""Kinds of tokens, see :func:`.notation.kinds`."""
WIDEST = 14
"""Lines between two notes of a bar; wider intervals count as this one."""
SO_FAR, LAST, NEITHER = 0, 1, 2
"""Whether a bar equals the one that it recalls so far, in its last note, or in neither."""


_LEAST_SILENCES = (1, STEPS_PER_QUARTER, STEPS_PER_BAR)
"""Fewest silent steps of each class after the first."""
SILENCE_CLASSES = 1 + len(_LEAST_SILENCES)
"""Number of values of :func:`silence_class`."""


def silence_class(silence: Tensor) -> Tensor:
    """``(N,)`` in [0, 3]: something sounds, silence of less than a beat, than a bar, of a bar.

    Args:
        silence: ``(N,)`` steps in which nothing has sounded.

    >>> silence_class(torch.tensor([0, 1, 3, 4, 15, 16])).tolist()
    [0, 1, 1, 2, 2, 3]
    """
    return torch.stack([silence >= steps for steps in _LEAST_SILENCES]).sum(0)


class Calibration(nn.Module):
    """Terms of logits, all zero until they are measured.

    Degrees are of the major scale of the key signature, in which the tritones lie.

    Attributes:
        intervals: ``(14, 2, 29)`` terms of a note of a bar by the degree of the note before,
            plain and raised, by whether it is raised, and by the lines between.
        recalled_tokens: ``(2, 3)`` terms of the token that the recalled bar has there: of a bar
            with its rhythm and of any other; by :data:`SO_FAR`, :data:`LAST`, :data:`NEITHER`.
        first_intervals: ``(7, 69)`` terms of a bar's first line by the degree of the note before
            and the lines between.
        recalled_starts: ``(2,)`` terms of the line on which the recalled bar starts.
        sources: ``(16, 16)`` terms of a repeat, by the number of the bar and the bars back.
        rhythm: term of a rhythm that an earlier bar has.
        silence: term of no first line: a bar without a note.
        kinds: ``(4, 16, 3)`` terms of a note, ``HOLD`` and ``REST``, by how long nothing has
            sounded, see :func:`silence_class`, and by the step of the bar. They decide nothing
            where the rhythm is given.
    """

    intervals: Tensor
    recalled_tokens: Tensor
    first_intervals: Tensor
    recalled_starts: Tensor
    sources: Tensor
    rhythm: Tensor
    silence: Tensor
    kinds: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("intervals", torch.zeros(2 * SCALE, 2, 2 * WIDEST + 1))
        self.register_buffer("recalled_tokens", torch.zeros(2, 3))
        self.register_buffer("first_intervals", torch.zeros(SCALE, 2 * LINES - 1))
        self.register_buffer("recalled_starts", torch.zeros(2))
        self.register_buffer("sources", torch.zeros(BARS, BARS))
        self.register_buffer("rhythm", torch.zeros(()))
        self.register_buffer("silence", torch.zeros(()))
        self.register_buffer("kinds", torch.zeros(SILENCE_CLASSES, STEPS_PER_BAR, KINDS))

    def of_source(self, log_probabilities: Tensor, bar: int) -> Tensor:
        """``(B, 1 + bar)`` log-probabilities of being fresh, of repeating bar 0, 1, ..."""
        terms = self.sources[bar, :bar].flip(0)
        return (log_probabilities + F.pad(terms, (1, 0))).log_softmax(-1)

    def of_rhythm(self, log_probabilities: Tensor) -> Tensor:
        """``(B, 1 + n)`` log-probabilities of a new rhythm, of that of bar 0, 1, ..."""
        terms = F.pad(self.rhythm.expand(log_probabilities.shape[-1] - 1), (1, 0))
        return (log_probabilities + terms).log_softmax(-1)

    def of_start(
        self,
        log_probabilities: Tensor,
        end: Tensor,
        degrees: Tensor,
        recalled: Tensor,
        new: Tensor,
    ) -> Tensor:
        """``(B, 36)`` log-probabilities of the first line, SILENT last.

        Args:
            end: ``(B,)`` line of the last note before.
            degrees: ``(B,)`` degree of the place.
            recalled: ``(B,)`` line on which the recalled bar starts, or :data:`.bars.ANY`.
            new: ``(B,)`` whether the rhythm is a new one.
        """
        lines = torch.arange(LINES, device=end.device)
        of_end = self.first_intervals[(end - REACH + degrees) % SCALE]
        terms = of_end.gather(-1, lines - end[:, None] + LINES - 1)
        again = self.recalled_starts[new.long()][:, None]
        terms = terms + torch.where(lines == recalled[:, None], again, 0.0)
        silence = self.silence.expand(len(terms), 1)
        return (log_probabilities + torch.cat([terms, silence], 1)).log_softmax(-1)

    def of_interval(self, last: Tensor, degrees: Tensor) -> Tensor:
        """``(..., V)`` terms of the next token after the ``(...)`` last note of a bar, if any.

        Args:
            degrees: ``(...)`` degrees of the lines from which the notes are counted.
        """
        note = last.clamp(min=0)
        rows = self.intervals[degree_of(note, degrees)]
        lines = torch.arange(LINES, device=last.device)
        column = (lines - note[..., None] % LINES).clamp(-WIDEST, WIDEST) + WIDEST
        terms = rows.gather(-1, column[..., None, :].expand(*rows.shape[:-1], LINES)).flatten(-2)
        return F.pad(torch.where(last[..., None] == ANY, 0.0, terms), (0, TOKENS - TOKEN_HOLD))

    def of_kinds(self) -> Tensor:
        """``(16, 4, V)`` terms of the token of each step, by how long nothing has sounded."""
        of_tokens = torch.from_numpy(kinds(np.arange(TOKENS))).to(self.kinds.device)
        return self.kinds[..., of_tokens].transpose(0, 1)

    def of_recalled(self, recalled: Tensor, new: Tensor, agreement: Tensor) -> Tensor:
        """``(N, V)`` terms of the next token of bars.

        Args:
            recalled: ``(N,)`` token that the recalled bar has there, or :data:`.bars.ANY`.
            new: ``(N,)`` whether the rhythm is a new one.
            agreement: ``(N,)`` :data:`SO_FAR`, :data:`LAST` or :data:`NEITHER`.
        """
        again = self.recalled_tokens[new.long(), agreement][:, None]
        every = torch.arange(TOKENS, device=recalled.device)
        return torch.where(every == recalled[:, None], again, 0.0)
