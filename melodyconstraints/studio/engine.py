"""The models of a studio, loaded once, in a thread, so that the page is there before they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

from melodyconstraints.errors import MelodyConstraintsError

if TYPE_CHECKING:
    from melodyconstraints.melody.vae.model import MelodyVAE
    from melodyconstraints.workflows.conditional import ConditionalActor
    from melodyconstraints.workflows.knobs import Knobs

_PATIENCE = 120.0
"""Seconds that a request waits for the models."""


@dataclass(frozen=True)
class Models:
    """Models that melodies are drawn from.

    Args:
        model: melody model, which draws under no rule, encodes and decodes.
        knobs: its knobs, which draw at once for a scale and other settings.
    """

    model: MelodyVAE
    knobs: ConditionalActor | Knobs


def load_models() -> Models:
    """The default model and its knobs, warm.

    One thread decodes eight melodies in half a second. More would be little faster, and
    wait for each other whenever the machine is busy, as in a training.
    """
    import torch

    from melodyconstraints.workflows.conditional import load_knobs
    from melodyconstraints.workflows.generate import generate
    from melodyconstraints.workflows.models import load_model

    torch.set_num_threads(1)
    model = load_model()
    knobs = load_knobs(model=model)
    for count in (8, 1):  # compiles and plans, as the first melodies would
        generate(model, count)
        knobs.at("C-major", 64).generate(count)
    return Models(model, knobs)


class Engine:
    """Models that are loaded when they are first needed.

    Args:
        load: function that loads them.
    """

    def __init__(self, load: Callable[[], Models] = load_models) -> None:
        self._load, self._lock, self._over = load, Lock(), Event()
        self._thread: Thread | None = None
        self._models: Models | None = None
        self._error: Exception | None = None

    def start(self) -> None:
        """Begin to load, where that has not begun."""
        with self._lock:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="models", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            self._models = self._load()
        except Exception as error:  # shown at every request that needs them
            self._error = error
        finally:
            self._over.set()

    @property
    def state(self) -> str:
        """``waiting``, ``loading``, ``ready`` or ``failed``."""
        if self._over.is_set():
            return "failed" if self._error else "ready"
        return "loading" if self._thread else "waiting"

    def models(self) -> Models:
        """The models, once they are there.

        Raises:
            MelodyConstraintsError: they could not be loaded.
        """
        self.start()
        if not self._over.wait(_PATIENCE):
            raise MelodyConstraintsError(f"the models did not load within {_PATIENCE:g} s")
        if self._models is None:
            raise MelodyConstraintsError(f"the models did not load: {self._error}")
        return self._models
