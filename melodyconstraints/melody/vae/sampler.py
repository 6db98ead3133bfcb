"""A melody VAE as the core sees it: a function from z to melodies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from melodyconstraints.errors import TrainingError
from melodyconstraints.melody.events import Events, Melodies
from melodyconstraints.melody.units import STEPS
from melodyconstraints.melody.vae.model import DECODE_BATCH, MelodyVAE
from melodyconstraints.melody.vae.sampling import Sampling

LIKELIEST = Sampling(temperature=0.0)
"""The likeliest event at every step: nothing is drawn."""


class SamplingInterrupted(KeyboardInterrupt):
    """Ctrl-C while melodies were drawn.

    Args:
        melodies: melodies drawn by then; perhaps none.
    """

    def __init__(self, melodies: Melodies) -> None:
        super().__init__()
        self.melodies = melodies


class TooFewError(TrainingError):
    """Too few melodies satisfy every rule, however many are drawn.

    Args:
        melodies: melodies that do; perhaps none.
        drawn: number of melodies drawn for them.
    """

    def __init__(self, text: str, melodies: Melodies, drawn: int) -> None:
        super().__init__(text)
        self.melodies, self.drawn = melodies, drawn


@contextmanager
def kept_on_interrupt(drawn: Sequence[Events]) -> Iterator[None]:
    """Let Ctrl-C raise :class:`SamplingInterrupted` with all that a list holds by then."""
    try:
        yield
    except KeyboardInterrupt as stop:
        none = np.zeros((0, STEPS), np.uint8)
        raise SamplingInterrupted(Melodies(np.concatenate([none, *drawn]))) from stop


class MelodySampler:
    """A model bound to a way of sampling and a source of draws.

    Args:
        model: a trained melody VAE.
        sampling: sampling of events. Its seed starts the draws; the same points in the same order
            give the same melodies, in one call or in several.
        finish: function that changes melodies as they are drawn; they stay as they are if not
            given.
    """

    def __init__(
        self,
        model: MelodyVAE,
        sampling: Sampling | None = None,
        finish: Callable[[Melodies], Melodies] | None = None,
    ) -> None:
        self.model, self.sampling, self.finish = model, sampling or Sampling(), finish
        self._generator = torch.Generator().manual_seed(self.sampling.seed)

    @property
    def latent_dim(self) -> int:
        """Z, dimensions of a latent point."""
        return self.model.latent_dim

    @property
    def sigma_bar(self) -> Tensor:
        """``(Z,)`` posterior scale averaged over the training data."""
        return self.model.sigma_bar

    def decode(self, z: Tensor, callback: Callable[[int], object] | None = None) -> Melodies:
        """``(B, Z)`` to ``B`` melodies.

        Args:
            callback: called with the number of melodies so far, from time to time.

        Raises:
            SamplingInterrupted: Ctrl-C.
        """
        drawn: list[Events] = []
        with kept_on_interrupt(drawn):
            for part in z.split(DECODE_BATCH):
                events = self.model.decode(part, self.sampling, generator=self._generator)
                melodies = Melodies(events.cpu().numpy())
                drawn.append((self.finish(melodies) if self.finish else melodies).events)
                if callback:
                    callback(sum(map(len, drawn)))
        return Melodies(np.concatenate(drawn))
