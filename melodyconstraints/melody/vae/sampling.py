"""Sampling of melodies: temperature, top-k, top-p, or the likeliest; form, scale and rhythm.

Shapes: ``N`` rows drawn side by side, ``V`` categories.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, TypedDict

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.form import AUTO, form_of
from melodyconstraints.melody.rhythm import signs_of_rhythm
from melodyconstraints.storage.arguments import DEFAULT_SEED, check_fields, check_seed

COLDEST = 1e-30
"""Lowest temperature of a draw; below it the likeliest category is taken, as a logit over it may
be more than a float32."""


DEFAULT_TEMPERATURE = 0.5


class DrawingOptions(TypedDict, total=False):
    """Keywords of :class:`Sampling` but for what rules say; None stands for what is missing."""

    temperature: float | None
    top_k: int | None
    top_p: float | None
    seed: int | None
    form: str | None


class SamplingOptions(DrawingOptions, total=False):
    """Keywords of :class:`Sampling`; what is missing or None has its default."""

    scale: tuple[int, ...] | frozenset[int] | None
    rhythm: str | None


@dataclass(frozen=True)
class Sampling:
    """Sampling of events from logits, in a form, a scale and a rhythm.

    Args:
        temperature: divisor of the logits, if above 0; 0 takes the likeliest category.
        top_k: number of the likeliest categories to draw from (Fan et al. 2018), or None for all.
        top_p: probability that the likeliest categories to draw from reach together, the one that
            reaches it included (nucleus sampling, Holtzman et al. 2020), or None for all. It is
            applied after the temperature and after top-k.
        seed: seed of the draws, at least 0.
        form: repeats of bars, as in ``AABA``; see :mod:`melodyconstraints.melody.form`.
        scale: pitch classes in [0, 11] in which every note lies: a tuple, the tonic first, or a
            set, which has none; empty for notes as they come.
        rhythm: where notes start, as in ``x..x..x.``; see :mod:`melodyconstraints.melody.rhythm`;
            empty for rhythms as they come.

    Raises:
        UsageError: a value outside its range.
    """

    temperature: float = DEFAULT_TEMPERATURE
    top_k: int | None = None
    top_p: float | None = None
    seed: int = DEFAULT_SEED
    form: str = AUTO
    scale: tuple[int, ...] | frozenset[int] = ()
    rhythm: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        check_seed(self.seed)
        kind = frozenset if isinstance(self.scale, Set) else tuple
        object.__setattr__(self, "scale", kind(self.scale))
        if not self.temperature >= 0:
            raise UsageError(f"temperature must be 0 or above, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top-k must be at least 1, got {self.top_k}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise UsageError(f"top-p must be above 0 and at most 1, got {self.top_p}")
        form_of(self.form)
        if self.rhythm:
            signs_of_rhythm(self.rhythm)
        if not set(self.scale) <= set(range(12)) or len(set(self.scale)) < len(self.scale):
            raise UsageError(f"scale must be different pitch classes, 0 to 11, got {self.scale}")

    @classmethod
    def of(cls, options: SamplingOptions | Mapping[str, Any], **defaults: Any) -> Sampling:
        """Sampling by options; where one is missing or None, by ``defaults`` and then the class's.

        >>> Sampling.of({"temperature": None, "seed": 3}, temperature=0.7)
        Sampling(temperature=0.7, top_k=None, top_p=None, seed=3, form='auto', scale=(), rhythm='')
        """
        given: dict[str, Any] = {k: v for k, v in options.items() if v is not None}
        return cls(**(defaults | given))

    def with_seed(self, seed: int) -> Sampling:
        """These options with another seed."""
        return replace(self, seed=seed)

    def __call__(self, logits: Tensor, noise: Tensor) -> Tensor:
        """Draw a category for each row by inverting the cumulative distribution at ``noise``.

        Args:
            logits: ``(N, V)``.
            noise: ``(N,)`` uniform in [0, 1).

        Returns:
            ``(N,)`` int64.

        >>> logits = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
        >>> Sampling()(logits, torch.tensor([0.49, 0.51]))
        tensor([0, 1])
        """
        if self.temperature < COLDEST:
            return logits.argmax(-1)
        probabilities = torch.softmax(logits.float() / self.temperature, -1)
        if self.top_k is not None or self.top_p is not None:
            probabilities = self._truncated(probabilities)
        cumulative = probabilities.cumsum(-1)
        threshold = noise[:, None] * cumulative[:, -1:]
        drawn = torch.searchsorted(cumulative, threshold, right=True)[:, 0]
        return drawn.clamp_(max=logits.shape[-1] - 1)

    def _truncated(self, probabilities: Tensor) -> Tensor:
        """Zeros in place of the categories that are not drawn; ties stand in category order."""
        ordered, order = probabilities.sort(dim=-1, descending=True, stable=True)
        if self.top_k is not None:
            ordered[:, self.top_k :] = 0
        if self.top_p is not None:
            before = ordered.cumsum(-1) - ordered
            ordered[before >= self.top_p * ordered.sum(-1, keepdim=True)] = 0
        return torch.zeros_like(probabilities).scatter_(-1, order, ordered)
