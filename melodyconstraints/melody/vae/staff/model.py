"""A generator that writes bars on a staff, each after those before it.

::

    z = key, place, mode │ attributes │ form, starts │ bars    z ~ N(0, I)
             │                │              │         │
             ├────────────────┴──> transformer over the bars before ──> repeat of one, or
             │                       ↑               a line to start on, flow from noise to
             │                       │               the code of a new bar
             │                likeliest notes <──┐     │
             └──> staff  <──  drawn notes  <──  bar decoder

``decode`` is a function of z and of the draws of the notes. A bar goes on from the likeliest
notes of those before it, which are a function of z alone. ``encode`` finds the z of a melody by
inverting that: codes of bars do not depend on other bars, noise and code determine each other
after what will be played, and what is drawn from a table is drawn by a normal number's rank.

======== ===== ==========================================================================
key          2 the direction is a key signature, in the order of fifths, by rank
place        1 line of the staff that the notes lie around, by rank
mode         1 degree of the scale that is the tonic, by rank: from lydian to locrian
attributes  12 see :mod:`.attributes`
form        16 which earlier bar each bar repeats, if any, by rank
rhythms     16 whose rhythm each other bar has, if not a new one, by rank
starts      16 line on which each bar starts, by rank
bars     16 C noise of each bar's code
======== ===== ==========================================================================

Shapes: ``B`` melodies, ``T`` = 256 steps, ``K`` = 16 bars of ``S`` = 16 steps, ``Z`` latent
dimensions, ``C`` dimensions of a bar's code, ``V`` = 130 events.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from melodyconstraints.melody.events import VOCABULARY, canonical_events
from melodyconstraints.melody.form import FRESH, form_of
from melodyconstraints.melody.units import BARS, STEPS, STEPS_PER_BAR
from melodyconstraints.melody.vae.free_running import ROWS, filled
from melodyconstraints.melody.vae.lstm import BLOCK
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampling import COLDEST, Sampling
from melodyconstraints.melody.vae.staff.attributes import (
    NAMES,
    NormalScores,
    attributes,
    equal_bars,
)
from melodyconstraints.melody.vae.staff.bar_prior import (
    BarPrior,
    Whole,
    condition_size,
)
from melodyconstraints.melody.vae.staff.bars import (
    BarVAE,
    first_line,
    higher,
    last_line,
    lines_above,
    on_first_line,
)
from melodyconstraints.melody.vae.staff.calibration import Calibration
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.decisions import Bars, Drawn, Known
from melodyconstraints.melody.vae.staff.notation import (
    REACH,
    SCALE,
    SILENT,
    Ints,
    Staff,
    events_of_tokens,
    kinds,
    lines_up,
    place_degrees,
    to_staff,
)
from melodyconstraints.melody.vae.staff.playing import Player, given_all
from melodyconstraints.melody.vae.staff.prepared_decoder import calibrated
from melodyconstraints.melody.vae.staff.ranks import (
    RAREST,
    between,
    equal_ranks,
    normal_of,
    points_between,
    ranks_of,
    which_interval,
)
from melodyconstraints.melody.vae.staff.reading import mode_of, read
from melodyconstraints.vae.parallel import compute_rows
from melodyconstraints.vae.posterior import Posterior

KEY, PLACE, MODE, ATTRIBUTES, FORM, RHYTHMS, STARTS = 2, 1, 1, len(NAMES), BARS, BARS, BARS
PLACES = 76
"""Lines of the staff on which a place may be: of all pitches."""
FIFTHS = np.arange(12) * 7 % 12
"""Major tonics on the circle of fifths, C first."""
BRIGHTNESS = np.array([3, 0, 4, 1, 5, 2, 6])
"""Degrees of the major scale from the tonic of the brightest mode, lydian, to the darkest."""


class Parts(NamedTuple):
    """Parts of a latent point, each ``(B, ...)``."""

    key: Tensor
    place: Tensor
    mode: Tensor
    attributes: Tensor
    form: Tensor
    rhythms: Tensor
    starts: Tensor
    bars: Tensor

    @property
    def choices(self) -> Tensor:
        """``(B, K, 3)`` what says the source, the rhythm and the start of each bar."""
        return torch.stack([self.form, self.rhythms, self.starts], -1)


class Head(NamedTuple):
    """Key, place, mode and attributes that a latent point gives all bars together.

    Args:
        keys, places, modes: ``(B,)``, see :class:`.notation.Staff`.
        whole: attributes, degree of the place and mode, for the prior.
    """

    keys: Ints
    places: Ints
    modes: Ints
    whole: Whole


class StaffGenerator(MelodyVAE):
    """Key, place, mode and attributes, then bars in turn."""

    inverts = has_form = True
    added_tensors = ("calibration.silence", "calibration.kinds")
    config: StaffConfig
    offset: Tensor
    key_ranks: Tensor
    place_ranks: Tensor
    mode_ranks: Tensor

    def __init__(self, config: StaffConfig) -> None:
        super().__init__()
        self.config = config
        self.bars = BarVAE(config, condition_size(config))
        self.prior = BarPrior(config, ATTRIBUTES)
        self.scores = NormalScores(ATTRIBUTES)
        self.calibration = Calibration()
        self.register_buffer("sigma_bar", torch.ones(sum(self._sizes)))
        self.register_buffer("offset", torch.zeros(ATTRIBUTES))
        self.register_buffer("key_ranks", equal_ranks(len(FIFTHS)))
        self.register_buffer("place_ranks", equal_ranks(PLACES))
        self.register_buffer("mode_ranks", equal_ranks(SCALE))

    @property
    def blocks(self) -> list[slice]:
        """Key, place, mode, each attribute, source, rhythm and start of a bar, and each bar."""
        code, single = self.config.bar_code, ATTRIBUTES + FORM + RHYTHMS + STARTS
        ends = np.cumsum([KEY, PLACE, MODE, *[1] * single, *[code] * BARS]).tolist()
        return [slice(low, high) for low, high in pairwise([0, *ends])]

    def parts(self, z: Tensor) -> Parts:
        """``(B, Z)`` by what its dimensions say; bars are ``(B, K, C)``."""
        key, place, mode, scores, form, rhythms, starts, bars = z.split(self._sizes, -1)
        bars = bars.reshape(len(z), BARS, self.config.bar_code)
        return Parts(key, place[:, 0], mode[:, 0], scores, form, rhythms, starts, bars)

    @property
    def _sizes(self) -> list[int]:
        bars = BARS * self.config.bar_code
        return [KEY, PLACE, MODE, ATTRIBUTES, FORM, RHYTHMS, STARTS, bars]

    @torch.no_grad()
    def encode(self, events: Tensor) -> Posterior:
        """``(B, T)`` integers in [0, 129] to the posterior q(z | m).

        Its samples all decode to the melody, or nearly: codes of bars are noisy, and what is found
        by a rank lies anywhere among the ranks of melodies that are equal in it.
        """
        staff = to_staff(canonical_events(events.cpu().numpy()))
        mean = self._points(staff, torch.zeros(len(events), self.latent_dim))
        return StaffPosterior(mean, self.sigma_bar.expand_as(mean), partial(self._points, staff))

    @torch.no_grad()
    def _points(self, staff: Staff, noise: Tensor) -> Tensor:
        """``(B, Z)`` points of melodies: the middle ones for zeros, others for other noise."""
        drawn = self.parts(noise.to(self.device))
        keys = _key_points(self.key_ranks, staff.keys, drawn.key)
        place = points_between(self.place_ranks, staff.places.clip(0, PLACES - 1), drawn.place)
        mode = points_between(self.mode_ranks, np.argsort(BRIGHTNESS)[staff.modes], drawn.mode)
        scores = self.scores(attributes(staff), ranks_of(drawn.attributes).cpu().numpy())
        bars = self.read(staff.tokens, drawn.bars)
        known, whole = Known(bars), Whole.of(scores, staff.degrees, staff.modes)
        player = Player(self.bars, self.calibration, whole)
        self.prior.write(known, whole, player, self.calibration)
        noise = torch.where((bars.sources == FRESH)[..., None], known.noise, drawn.bars)
        low, high = known.bounds.double().unbind(-1)
        ranks = ranks_of(drawn.choices)
        choices = normal_of(low + (high - low) * ranks).transpose(1, 2).flatten(1)
        place_and_mode = torch.stack([place, mode], 1)
        scores = scores - self.offset
        return torch.cat([keys, place_and_mode, scores, choices, noise.flatten(1)], -1)

    def read(self, tokens: Ints, noise: Tensor) -> Bars:
        """The bars of ``(B, T)`` tokens; one that equals several repeats the last of them.

        Args:
            noise: ``(B, K, C)`` standard normal, of which codes get the configured share; zeros
                for the mean codes.
        """
        equal = torch.from_numpy(equal_bars(tokens)).to(self.device)
        numbers = torch.arange(BARS, device=self.device)
        sources = _last_equal(equal)
        rhythms = _last_equal(torch.from_numpy(equal_bars(kinds(tokens))).to(self.device))
        on_device = torch.from_numpy(tokens).to(self.device).reshape(-1, STEPS_PER_BAR)
        posterior = self.bars.encoder(on_first_line(on_device))
        share = self.config.code_noise * posterior.scale
        codes = posterior.mean + share * noise.reshape(posterior.mean.shape)
        codes, played_codes = (
            self.bars.whitened(part).reshape(len(tokens), BARS, -1)
            for part in (codes, posterior.mean)
        )
        first = torch.where(equal.any(-1), equal.float().argmax(-1), numbers)
        codes = codes.gather(1, first[..., None].expand_as(codes))
        starts, lasts = (
            part.reshape(len(tokens), BARS)
            for part in (first_line(on_device), last_line(on_device))
        )
        rhythms = torch.where(sources == FRESH, rhythms, FRESH)
        return Bars(codes, played_codes, starts, _last_sounding(lasts), sources, rhythms)

    def head(self, z: Tensor, mode: int | None = None) -> Head:
        """Key, place, mode and attributes of ``(B, Z)`` points.

        Args:
            mode: degree of the major scale that is the tonic, in [0, 6]; the points say it where
                None.
        """
        parts = self.parts(z)
        angle = torch.atan2(parts.key[:, 1], parts.key[:, 0]).double() / (2 * math.pi)
        keys = FIFTHS[which_interval(self.key_ranks, angle % 1)]
        places = which_interval(self.place_ranks, ranks_of(parts.place))
        modes = BRIGHTNESS[which_interval(self.mode_ranks, ranks_of(parts.mode))]
        if mode is not None:
            modes = np.full_like(modes, mode)
        degrees, scores = place_degrees(keys, places, modes), parts.attributes + self.offset
        return Head(keys, places, modes, Whole.of(scores, degrees, modes))

    def write(
        self, z: Tensor, whole: Whole, player: Player, form: Tensor | None = None
    ) -> tuple[Bars, Tensor]:
        """The bars of ``(B, Z)`` points, see :meth:`.bar_prior.BarPrior.write`.

        Args:
            form: ``(K,)`` the bar that each repeats, or FRESH; the points say it where None.
        """
        parts = self.parts(z)
        drawn = Drawn(parts.bars, torch.special.ndtr(parts.choices), form)
        return self.prior.write(drawn, whole, player, self.calibration)

    def logits(self, z: Tensor, events: Tensor) -> Tensor:
        """Teacher-forced logits ``(B, T, V)`` of the true ``events`` ``(B, T)`` under ``z``."""
        keys, places, modes, whole = self.head(z)
        player = Player(self.bars, self.calibration, whole)
        bars, conditions = self.write(z, whole, player)
        staff = to_staff(events.cpu().numpy().astype(np.uint8), keys, places, modes)
        tokens = torch.from_numpy(staff.tokens).to(z.device)
        given = given_all(bars, conditions, whole, tokens)
        above = lines_above(bars.starts).flatten()
        on_start = higher(tokens.reshape(-1, STEPS_PER_BAR), -above)
        logits = self.bars.decoder(self.bars.raw(bars.codes), on_start, given)
        logits = logits + calibrated(self.calibration, given, on_start)
        probabilities = _moved(logits.softmax(-1), above).reshape(len(z), STEPS, -1)
        stands_for = torch.from_numpy(events_of_tokens(keys, places)).to(z.device)
        of_events = torch.zeros(len(z), STEPS, VOCABULARY, device=z.device)
        index = stands_for[:, None].expand(-1, STEPS, -1)
        return of_events.scatter_add(-1, index, probabilities).clamp(min=1e-12).log()

    def _draw(self, z: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        draw = partial(self._draw_part, sampling=sampling)
        return compute_rows(draw, z, noise, multiple=ROWS, most=BLOCK)

    def _draw_part(self, z: Tensor, noise: Tensor, sampling: Sampling) -> Tensor:
        scale = sampling.scale
        tonic_first = () if isinstance(scale, frozenset) else scale
        head = self.head(filled(z), mode_of(tonic_first) if tonic_first else None)
        of_tokens = None if sampling.temperature < COLDEST else filled(noise)
        form = form_of(sampling.form)
        player = Player(self.bars, self.calibration, head.whole, of_tokens, sampling, form)
        self.write(
            filled(z), head.whole, player, None if form is None else form.repeats.to(z.device)
        )
        staff = Staff(player.drawn.cpu().numpy(), head.keys, head.places, head.modes)
        events = read(staff, scale)
        return torch.from_numpy(events[: len(z)].astype(np.int64)).to(z.device)

    def moved_to(self, z: Tensor, ranges: Mapping[str, tuple[float, float]]) -> Tensor:
        """``(B, Z)`` points moved to where attributes lie in ranges, as likely as in the prior.

        Args:
            ranges: least and largest value of attributes, keys of :data:`.attributes.NAMES`; the
                others follow, as much as they depend on them.
        """
        parts = self.parts(z)
        scores = self.scores.conditioned(
            parts.attributes, {NAMES.index(name): wanted for name, wanted in ranges.items()}
        )
        place_and_mode = torch.stack([parts.place, parts.mode], 1)
        return torch.cat(
            [
                *(parts.key, place_and_mode, scores),
                *(parts.form, parts.rhythms, parts.starts, parts.bars.flatten(1)),
            ],
            -1,
        )

    def transposed(self, z: Tensor, semitones: Ints) -> Tensor:
        """``(B, Z)`` points whose melodies are those of others, ``(B,)`` semitones higher.

        Key and place move, so that the place stands on the same degree; melodies that would leave
        the pitches 0 to 127 are others.
        """
        parts, head = self.parts(z), self.head(z)
        octaves, keys = np.divmod(head.keys + semitones, len(FIFTHS))
        places = head.places + lines_up(head.keys, keys) + SCALE * octaves
        places = places.clip(0, PLACES - 1)
        key = _key_points(self.key_ranks, keys, parts.key)
        place = points_between(self.place_ranks, places, parts.place)
        moved = torch.from_numpy(semitones != 0).to(z.device)[:, None]
        new = torch.cat([key, place[:, None], z[:, KEY + PLACE :]], 1)
        return torch.where(moved, new, z)


def _last_equal(equal: Tensor) -> Tensor:
    """``(B, K)`` last of the earlier bars that ``(B, K, K)`` says each equals, or FRESH."""
    numbers = torch.arange(BARS, device=equal.device)
    return torch.where(equal, numbers, FRESH).amax(-1)


def _moved(probabilities: Tensor, lines: Tensor) -> Tensor:
    """``(N, S, V)`` probabilities of tokens, moved to those ``(N,)`` lines higher."""
    every = torch.arange(probabilities.shape[-1], device=lines.device).expand(len(lines), -1)
    index = higher(every, lines)[:, None].expand_as(probabilities)
    return torch.zeros_like(probabilities).scatter_add(-1, index, probabilities)


def _last_sounding(lasts: Tensor) -> Tensor:
    """``(B, K)`` line of the last note up to the end of each bar; the place's before any.

    Args:
        lasts: ``(B, K)`` line of each one's last note, or SILENT.

    >>> _last_sounding(torch.tensor([[SILENT, 3, SILENT, 9]])).tolist()
    [[17, 3, 3, 9]]
    """
    numbers = torch.arange(1, BARS + 1, device=lasts.device)[: lasts.shape[1]]
    sounding = torch.where(lasts == SILENT, 0, numbers).cummax(1).values
    return F.pad(lasts, (1, 0), value=REACH).gather(1, sounding)


@dataclass(frozen=True)
class StaffPosterior(Posterior):
    """The points of melodies; ``draw`` turns standard normal ``(B, Z)`` into some of them."""

    draw: Callable[[Tensor], Tensor]

    def sample(
        self, generator: torch.Generator | None = None, *, noise: Tensor | None = None
    ) -> Tensor:
        """Sample ``(B, Z)``; see :meth:`melodyconstraints.vae.posterior.Posterior.sample`."""
        if noise is None:
            noise = torch.randn(self.mean.shape, generator=generator)
        return self.draw(noise)


def _key_points(bounds: Tensor, keys: Ints, noise: Tensor) -> Tensor:
    """``(B, 2)`` in the direction of each key, by the ranks of ``noise`` ``(B, 2)``."""
    share, length = ranks_of(noise).unbind(-1)
    angle = 2 * math.pi * between(bounds, np.argsort(FIFTHS)[keys], share)
    length = torch.sqrt(-2 * torch.log(length.clamp(RAREST, 1 - RAREST)))
    return (length[:, None] * torch.stack([torch.cos(angle), torch.sin(angle)], 1)).float()
