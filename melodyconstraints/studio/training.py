"""Training of an actor in a process of its own, so that everything else answers meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from melodyconstraints.errors import MelodyConstraintsError, TrainingError
from melodyconstraints.storage.machine import end_with_parent, processors
from melodyconstraints.studio.jobs import Job
from melodyconstraints.studio.places import Settings
from melodyconstraints.studio.schemas import Answer, TrainRequest
from melodyconstraints.studio.wishes import find_wishes

if TYPE_CHECKING:
    from melodyconstraints.latent.pair import RoundRecord
    from melodyconstraints.latent.settings import ActorCriticSettings
    from melodyconstraints.melody.vae.model import MelodyVAE

MOST_SECONDS = 1800.0
"""Seconds after which a training keeps its best actor and ends."""
_GRACE_SECONDS = 60.0
"""Seconds from a wish to end to the end by force."""
_POLL_SECONDS = 0.2
_FIRST_ROUND = 2
"""Reports at the end of the first round: one is made before the training."""
_NICENESS = 10
"""Niceness of the process: an answer of the studio takes as long as without it, and
beside programs that are always busy a tenth of a processor is left."""


def train_in_process(
    job: Job, model_folder: str, body: TrainRequest, folder: Path, settings: Settings
) -> Answer:
    """Train in another process; the job gets a report of every round, and may stop it.

    Returns:
        ``best`` (share of validation points that satisfy every rule), ``rounds`` and
        ``shortcoming``.

    Raises:
        TrainingError: the training failed, or its process died.
    """
    context = get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    stop = context.Event()
    arguments = (sender, stop, model_folder, body, folder, settings)
    process = context.Process(target=_run, args=arguments, daemon=True)
    process.start()
    sender.close()
    end = time.monotonic() + MOST_SECONDS
    try:
        while True:
            if not stop.is_set() and (job.stop.is_set() or time.monotonic() > end):
                stop.set()
                end = time.monotonic() + _GRACE_SECONDS
            if stop.is_set() and len(job.events) < _FIRST_ROUND:
                raise TrainingError("stopped before a round had ended: there is no actor to keep")
            if stop.is_set() and time.monotonic() > end:
                raise TrainingError(
                    "a round took more than a minute after the stop, so nothing is kept; "
                    "train with rules that take less time"
                )
            if not receiver.poll(_POLL_SECONDS):
                continue
            kind, value = receiver.recv()
            if kind == "failed":
                raise TrainingError(value)
            if kind == "done":
                return value
            job.report(value)
    except EOFError as error:
        raise TrainingError("the training's process died; start it again") from error
    finally:
        process.kill()


def train(
    model: MelodyVAE,
    body: TrainRequest,
    folder: Path,
    settings: Settings,
    report: Callable[[Answer], object],
    stopped: Callable[[], bool],
    *,
    training_settings: ActorCriticSettings | None = None,
) -> Answer:
    """Train an actor for rules and save it; the best so far where it is stopped or fails.

    Args:
        report: called at the start; after every round with rewards, satisfied shares, whether
            those satisfied are typical melodies too, seconds left by the rounds so far.
        stopped: called after every round; true ends the training.
        training_settings: settings in place of the default ones.

    Raises:
        UsageError: the disk has no room for the actor.
        StoreError: another studio trains it.
        RuleError: a rule failed; after the first round the best actor is saved.
    """
    from melodyconstraints.latent.settings import PRESETS
    from melodyconstraints.melody.form import AUTO
    from melodyconstraints.workflows.train_actor import train_actor_folder
    from melodyconstraints.workflows.typical_reward import TYPICALITY

    ordered = sorted(body.rules, key=lambda wish: wish.spec)
    rules = find_wishes(ordered, settings)
    names = [rule.name for rule in rules]
    training_settings, ends = training_settings or PRESETS["default"], list[float]()

    def callback(record: RoundRecord) -> None:
        ends.append(time.monotonic())
        typical = {"typical": len(record.rewards) > len(names)}  # no other head is learned here
        progress = _progress(ends, training_settings.rounds)
        report({"rules": names} | typical | progress | _curves(record))
        if stopped():
            raise KeyboardInterrupt

    report({"progress": 0.0, "rules": names})
    actor = train_actor_folder(
        model,
        rules,
        folder,
        overwrite=True,
        settings=training_settings,
        weights=[wish.weight for wish in ordered],
        form=body.form or AUTO,
        callback=callback,
    )
    return {
        "best": actor.best,
        "typical": TYPICALITY in actor.rewards,
        "rounds": len(actor.records),
        "shortcoming": actor.shortcoming,
    }


def _progress(ends: list[float], rounds: int) -> Answer:
    """Share of the rounds that are done, and seconds left, by the times at which they ended."""
    done = len(ends)
    each = (ends[-1] - ends[0]) / max(done - 1, 1)
    left = round(each * (rounds - done), 1) if done > 1 else None
    return {"progress": done / rounds, "seconds_left": left}


def _curves(record: RoundRecord) -> Answer:
    return {
        "rewards": [round(value, 4) for value in record.rewards],
        "satisfied": [round(value, 4) for value in record.satisfied],
        "all_satisfied": round(record.all_satisfied, 4),
    }


def _run(
    sender: Connection,
    stop: Any,
    model_folder: str,
    body: TrainRequest,
    folder: Path,
    settings: Settings,
) -> None:
    """Body of the process; it ends with the server, however that ends."""
    import torch

    from melodyconstraints.workflows.models import load_model

    end_with_parent()
    if hasattr(os, "nice"):
        os.nice(_NICENESS)
    torch.set_num_threads(max(1, processors() - 1))
    stopped: Event = stop
    try:
        result = train(
            load_model(model_folder),
            body,
            folder,
            settings,
            lambda value: sender.send(("progress", value)),
            stopped.is_set,
        )
        sender.send(("done", result))
    except MelodyConstraintsError as error:
        sender.send(("failed", str(error)))
