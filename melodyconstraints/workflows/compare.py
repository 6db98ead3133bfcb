"""Comparison of actors at the same points of the prior: the paper's Figure 6.

>>> import melodyconstraints as mc
>>> one, both = mc.load_actor("actors/one"), mc.load_actor("actors/both")     # doctest: +SKIP
>>> unmoved, in_c, in_c_and_dense = mc.compare([one, both], 4, seed=1)        # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Unpack

from melodyconstraints.errors import UsageError
from melodyconstraints.melody.events import Melodies
from melodyconstraints.melody.vae.sampling import Sampling, SamplingOptions
from melodyconstraints.storage.arguments import checked
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.generate import from_prior


@checked
def compare(
    actors: Sequence[MelodyActor],
    n: int,
    *,
    callback: Callable[[int], object] | None = None,
    **options: Unpack[SamplingOptions],
) -> list[Melodies]:
    """``n`` melodies of the prior, and the same points as each actor moves them.

    What the decoder draws is the same too: melodies of one point differ by the actor alone, and by
    the scale or the key and the rhythm that it draws in, which the prior has not.

    Args:
        actors: actors, at least one, all on one model.
        callback: called with the number of them, the prior included, that have drawn theirs.
        options: see :class:`melodyconstraints.melody.vae.sampling.Sampling`; the actors' own
            where none are given.

    Returns:
        Those of the unmoved points, then those of each actor.

    Raises:
        UsageError: as :func:`common_sampling`, or n below 1.
    """
    how = common_sampling(actors, options)
    columns = [from_prior(actors[0].model, n, how)]
    for actor in actors:
        if callback:
            callback(len(columns))
        own = {"scale": how.scale or actor.scale, "rhythm": how.rhythm or actor.rhythm}
        columns.append(actor.generate(n, **asdict(how) | own))
    return columns


def common_sampling(actors: Sequence[MelodyActor], options: SamplingOptions) -> Sampling:
    """The sampling of all actors by options, but for the scales and rhythms that they draw in.

    Raises:
        UsageError: no actor, actors on different models, or with defaults of their own where no
            option is given.
    """
    if not actors:
        raise UsageError("give at least one actor to compare the prior with")
    models = sorted({actor.model.fingerprint[:12] for actor in actors})
    if len(models) > 1:
        raise UsageError(f"compared actors move points of one model, got {', '.join(models)}")
    scale, rhythm = options.get("scale") or (), options.get("rhythm") or ""
    ways = [
        asdict(replace(actor.sampling(options), scale=scale, rhythm=rhythm)) for actor in actors
    ]
    different = [name for name in ways[0] if any(way[name] != ways[0][name] for way in ways)]
    if different:
        raise UsageError(
            f"the actors draw at different values of {' and '.join(different)}; give one for all "
            "of them"
        )
    return Sampling(**ways[0])
