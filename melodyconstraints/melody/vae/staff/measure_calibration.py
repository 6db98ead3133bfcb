"""Measurement of :class:`.calibration.Calibration`: shares of drawn and of training melodies.

Shapes: ``B`` melodies, ``T`` = 256 steps, ``K`` = 16 bars of ``S`` = 16 steps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from melodyconstraints.melody.events import Events, canonical_events
from melodyconstraints.melody.form import FRESH
from melodyconstraints.melody.units import BARS, STEPS_PER_BAR
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.bar_prior import Whole
from melodyconstraints.melody.vae.staff.bars import ANY, degree_of, kinds_of, on_first_line
from melodyconstraints.melody.vae.staff.calibration import (
    KINDS,
    SILENCE_CLASSES,
    WIDEST,
    silence_class,
)
from melodyconstraints.melody.vae.staff.decisions import Bars, recalled_bar
from melodyconstraints.melody.vae.staff.notation import (
    LINES,
    REACH,
    SCALE,
    SILENT,
    TOKEN_HOLD,
    TOKEN_REST,
    Staff,
    to_staff,
)
from melodyconstraints.melody.vae.staff.playing import given_all
from melodyconstraints.melody.vae.staff.prepared_decoder import BarState

if TYPE_CHECKING:
    from melodyconstraints.melody.vae.staff.model import StaffGenerator

Numbers = NDArray[np.float64]

ROUNDS, DRAWN = 6, 2048
"""Times that melodies are drawn, and how many at most."""
_RATE, _TOKENS_RATE = 0.7, 1.0
"""Share by which a term follows a difference of logits; larger for tokens, for the code of their
bar decides most of them."""
_FEW = 3.0
"""Number added to counts, so that a term does not follow what is hardly ever seen."""
_LARGEST = 3.0
"""Largest absolute value of a term."""


class Counts(NamedTuple):
    """Counts over melodies; the names are those of :class:`.calibration.Calibration`.

    Args:
        intervals: ``(14, 2, 29)`` intervals of fresh bars.
        recalled_tokens: ``(2, 3, 2)`` tokens that are not, and that are, those recalled.
        first_intervals: ``(7, 69)`` intervals of fresh bars.
        recalled_starts: ``(2, 2)`` lines that are not, and that are, those recalled.
        sources: ``(16, 17)`` bars that are fresh, that repeat the bar before, the one before, ...
        rhythm: ``(2,)`` fresh bars of a new rhythm, and of an earlier bar's.
        silence: ``(2,)`` fresh bars with a note, and without.
        kinds: ``(4, 16, 3)`` tokens of fresh bars of a new rhythm.
    """

    intervals: Numbers
    recalled_tokens: Numbers
    first_intervals: Numbers
    recalled_starts: Numbers
    sources: Numbers
    rhythm: Numbers
    silence: Numbers
    kinds: Numbers


@torch.no_grad()
def calibrate(model: StaffGenerator, events: Events, rounds: int = ROUNDS) -> None:
    """Measure a model's calibration anew, at the default temperature.

    Args:
        events: ``(N, T)`` melodies as which drawn ones should count.
    """
    terms = model.calibration
    for buffer in terms.buffers():
        buffer.zero_()
    real, drawn = count(model, events), min(DRAWN, len(events))
    for number in range(rounds):
        generator = torch.Generator().manual_seed(number)
        z = torch.randn(drawn, model.latent_dim, generator=generator).to(model.device)
        samples = model.decode(z, Sampling(seed=number)).cpu().numpy().astype(np.uint8)
        own = count(model, canonical_events(samples))
        for name in ("recalled_tokens", "recalled_starts", "rhythm", "silence"):
            rate = _TOKENS_RATE if name == "recalled_tokens" else _RATE
            missing = _logits(getattr(real, name)) - _logits(getattr(own, name))
            _add(getattr(terms, name), rate * missing)
        inside = _log_ratio(*(counts.intervals.reshape(2 * SCALE, -1) for counts in (real, own)))
        _add(terms.intervals, _TOKENS_RATE * inside.reshape(real.intervals.shape))
        _add(terms.kinds, _TOKENS_RATE * _log_ratio(real.kinds, own.kinds))
        first = _log_ratio(real.first_intervals, own.first_intervals)
        _add(terms.first_intervals, _RATE * model.config.spread * first)
        fresh = _log_ratio(real.sources, own.sources)
        _add(terms.sources, _RATE * (fresh[:, 1:] - fresh[:, :1]))


def count(model: StaffGenerator, events: Events) -> Counts:
    """Count intervals, recalls, repeats and silences of ``(N, T)`` events."""
    parts = [
        _count(model, events[first : first + DRAWN]) for first in range(0, len(events), DRAWN)
    ]
    return Counts(*(np.sum(part, 0) for part in zip(*parts, strict=True)))


def _count(model: StaffGenerator, events: Events) -> Counts:
    staff = to_staff(canonical_events(events))
    bars = model.read(staff.tokens, torch.zeros(len(events), BARS, model.config.bar_code))
    fresh, numbers = bars.sources == FRESH, torch.arange(BARS)
    of_sources = numbers * (BARS + 1) + torch.where(fresh, 0, numbers - bars.sources)
    later = fresh & (numbers > 0)
    old = bars.rhythms[later] != FRESH
    return Counts(
        *_intervals_and_recalls(staff, bars),
        _first_intervals(staff, bars, later),
        _recalled_starts(bars, fresh),
        _counted(of_sources.flatten(), (BARS, BARS + 1)),
        _counted(old.long(), (2,)),
        _counted((bars.starts == SILENT)[later].long(), (2,)),
        _kinds(staff, bars),
    )


def _intervals_and_recalls(staff: Staff, bars: Bars) -> tuple[Numbers, Numbers]:
    """Counts of intervals, and of recalled tokens, in fresh bars.

    Of the tokens those after the first note: notes where the rhythm is given, else all.
    """
    tokens = torch.from_numpy(staff.tokens)
    whole = Whole.of(torch.empty(0), staff.degrees, staff.modes)
    given = given_all(bars, torch.empty(len(tokens), BARS, 0), whole, tokens)
    so_far, fresh = BarState(given), (bars.sources == FRESH).flatten()
    intervals, recalled = np.zeros((2 * SCALE, 2, 2 * WIDEST + 1)), np.zeros((2, 3, 2))
    for step, token in enumerate(on_first_line(tokens.reshape(-1, STEPS_PER_BAR)).unbind(1)):
        counts, is_note = fresh & (so_far.last != ANY), token < TOKEN_HOLD
        last, note = (part[counts & is_note] for part in (so_far.last, token))
        rows = degree_of(last, given.of_signature[counts & is_note])
        lines = (note % LINES - last % LINES).clamp(-WIDEST, WIDEST) + WIDEST
        columns = note // LINES * (2 * WIDEST + 1) + lines
        intervals += _counted(2 * (2 * WIDEST + 1) * rows + columns, intervals.shape)
        counts &= (given.recalled[:, 0] != ANY) & (given.new | is_note)
        same = (token == given.recalled[:, step])[counts]
        kind = given.new[counts].long() * 3 + so_far.agreement[counts]
        recalled += _counted(2 * kind + same, recalled.shape)
        so_far.update(step, token)
    return intervals, recalled


def _kinds(staff: Staff, bars: Bars) -> Numbers:
    """Counts of token kinds in fresh bars of a new rhythm."""
    tokens = torch.from_numpy(staff.tokens)
    fresh = bars.sources == FRESH
    silence = torch.zeros(len(tokens), dtype=torch.int64)
    kinds = np.zeros((SILENCE_CLASSES, STEPS_PER_BAR, KINDS))
    for step, token in enumerate(tokens.unbind(1)):
        number, place = divmod(step, STEPS_PER_BAR)
        counts = fresh[:, number] & (bars.rhythms[:, number] == FRESH)
        pairs = silence_class(silence[counts]) * KINDS + kinds_of(token[counts])
        kinds[:, place] += _counted(pairs, (SILENCE_CLASSES, KINDS))
        silence = torch.where(token == TOKEN_REST, silence + 1, 0)
    return kinds


def _first_intervals(staff: Staff, bars: Bars, later: Tensor) -> Numbers:
    counts = later & (bars.starts != SILENT)
    before = F.pad(bars.ends[:, :-1], (1, 0), value=REACH)
    of_place = torch.from_numpy(staff.degrees + staff.modes)
    degrees = (before - REACH + of_place[:, None]) % SCALE
    columns = bars.starts - before + LINES - 1
    return _counted((degrees * (2 * LINES - 1) + columns)[counts], (SCALE, 2 * LINES - 1))


def _recalled_starts(bars: Bars, fresh: Tensor) -> Numbers:
    """Counts of first lines, recalled or not, by whether the rhythm is a new one."""
    number = recalled_bar(bars.rhythms, torch.arange(BARS))
    counts = fresh & (number >= 0) & (bars.starts != SILENT)
    same = bars.starts == bars.starts.gather(1, number.clamp(min=0))
    return _counted((2 * (bars.rhythms == FRESH) + same)[counts], (2, 2))


def _counted(numbers: Tensor, shape: tuple[int, ...]) -> Numbers:
    """Number of times that each number occurs, ``shape`` of them."""
    counts = np.bincount(numbers.numpy(), minlength=int(np.prod(shape)))
    return counts.reshape(shape).astype(np.float64)


def _logits(counts: Numbers) -> Numbers:
    """Logits of the second of two outcomes, from ``(..., 2)`` counts."""
    logits: Numbers = np.log(counts[..., 1] + 1) - np.log(counts[..., 0] + 1)
    return logits


def _log_ratio(real: Numbers, own: Numbers) -> Numbers:
    """Logarithms of the ratios of shares in rows, 0 on the mean of the drawn melodies."""
    total = own.sum(-1, keepdims=True)
    scaled = real * total / real.sum(-1, keepdims=True).clip(1)
    ratio: Numbers = np.log((scaled + _FEW) / (own + _FEW))
    return ratio - (own * ratio).sum(-1, keepdims=True) / total.clip(1)


def _add(term: Tensor, numbers: Numbers) -> None:
    term.add_(torch.from_numpy(np.asarray(numbers)).to(term)).clamp_(-_LARGEST, _LARGEST)
