"""Other melodies in place of one, with some of its bars kept note for note.

>>> import melodyconstraints as mc
>>> from melodyconstraints.workflows.reroll import reroll
>>> tune = mc.Melody.from_notes([(0, 4, 60), (16, 4, 64)])
>>> others = reroll(mc.load_model(), tune, 2, keep_bars={1})
>>> all((melody.bars[0] == tune.bars[0]).all() for melody in others)
True
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Unpack

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.interpolation import slerp
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.form import Form, form_of
from melodyconstraints.melody.units import BARS
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.melody.vae.model import MelodyVAE
from melodyconstraints.melody.vae.sampling import Sampling, SamplingOptions
from melodyconstraints.storage.arguments import checked
from melodyconstraints.workflows.actor import SEARCH, MelodyActor
from melodyconstraints.workflows.editing import in_scale, keep, outside_text
from melodyconstraints.workflows.search import SearchActor
from melodyconstraints.workflows.seeds import (
    POINTS,
    check_count,
    derived_generator,
    next_points,
    prior_sampler,
)


@checked
def reroll(
    source: MelodyActor | MelodyVAE,
    melody: Melody,
    n: int,
    *,
    keep_bars: Collection[int] = (),
    strength: float = 1.0,
    **options: Unpack[SamplingOptions],
) -> Melodies:
    """``n`` melodies on the way from one to new ones, shifted by an actor, with bars kept.

    In a form, bars that repeat a kept one repeat it as it is kept.

    Args:
        source: source of the melodies: an actor, or a model for no rules.
        keep_bars: bars from 1 to 16 that stay note for note.
        strength: share of the way from the melody's point to points of the prior: at 0 the
            melody as the model decodes it, at 1 all new.
        options: see :class:`melodyconstraints.melody.vae.sampling.Sampling`.

    Raises:
        UsageError: n below 1, a bar outside 1 to 16, a strength outside [0, 1], or bars to keep
            with notes that a rule forbids.
    """
    if not set(keep_bars) <= set(range(1, BARS + 1)):
        raise UsageError(f"bars to keep must be from 1 to {BARS}, got {sorted(keep_bars)}")
    check_count(n)
    if not 0 <= strength <= 1:
        raise UsageError(f"strength must be from 0 to 1, got {strength}")
    check_kept(source, melody, keep_bars)
    sampling = (
        source.sampling(options) if isinstance(source, MelodyActor) else Sampling.of(options)
    )
    scale = sampling.scale if strength < 1 else ()
    if scale:  # notes near the melody's stand where they stood, as the bars that stay do
        sampling = replace(sampling, scale=())
    model = source.model if isinstance(source, MelodyActor) else source
    start, share = encode(model, [melody]).mean[0], torch.tensor([strength])
    count = n
    if isinstance(source, SearchActor) and strength:  # of more, those that are soon found
        count = source.points_for(n)
    ends = next_points(model, count, derived_generator(POINTS, sampling.seed)).to(start.device)
    points = torch.cat([slerp(start, end, share) for end in ends])

    def with_kept_bars(melodies: Melodies) -> Melodies:
        if scale:
            melodies = Melodies.stack([in_scale(one, scale) for one in melodies])
        result, form = keep(melody, melodies, keep_bars), form_of(sampling.form)
        if form is None:
            return result
        repeated = _with_repeats(result, form, keep_bars)
        return keep(melody, repeated, keep_bars)  # a repeat that begins with a hold holds none on

    if isinstance(source, SearchActor) and strength < 1:  # it stays near the melody, or there
        draws = source.search.draws if strength else 1
        source = replace(source, search=replace(source.search, fresh=0, draws=draws))
    noise = derived_generator(SEARCH, sampling.seed)
    if isinstance(source, SearchActor):
        return source.draw_from(points, sampling, noise, with_kept_bars, wanted=n)[1]
    if isinstance(source, MelodyActor):
        if strength < 1:  # what is near the melody stays in its key
            source = replace(source, transposes=False)
        return source.draw_from(points, sampling, noise, with_kept_bars)[1]
    return with_kept_bars(prior_sampler(model, sampling).decode(points))


def check_kept(
    source: MelodyActor | MelodyVAE, melody: Melody, keep_bars: Collection[int]
) -> None:
    """Refuse bars with notes that a rule forbids: no melody that keeps them would satisfy it.

    Raises:
        UsageError: there are such bars.
    """
    for rule in source.active_rules if isinstance(source, MelodyActor) else []:
        why = outside_text(melody, keep_bars, rule)
        if why:
            raise UsageError(
                f"{why}; keep other bars, or move the melody first by --scale or --key of "
                "mc transform"
            )


def _with_repeats(melodies: Melodies, form: Form, keep_bars: Collection[int]) -> Melodies:
    """Melodies in which bars that repeat a kept one, or begin like it, do so."""
    bars = melodies.bars.copy()
    for bar, (repeated, begins) in enumerate(zip(*map(Tensor.tolist, form[:2]), strict=True)):
        if bar + 1 in keep_bars:
            continue
        if repeated + 1 in keep_bars:
            bars[:, bar] = bars[:, repeated]
        if begins + 1 in keep_bars:
            bars[:, bar, : form.begun] = bars[:, begins, : form.begun]
    return Melodies(bars.reshape(len(bars), -1))
