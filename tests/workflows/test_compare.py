"""The same points under several actors."""

from dataclasses import replace

import pytest
from torch import nn

from melodyconstraints.errors import UsageError
from melodyconstraints.workflows.compare import compare
from melodyconstraints.workflows.generate import generate
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.train_actor import train_actor


@pytest.fixture
def actor(tiny_actor_folder):
    return load_actor(tiny_actor_folder)


def test_each_column_is_what_its_actor_makes_of_the_same_points_and_draws(actor):
    still = replace(actor, actor=nn.Identity(), method="actor")
    prior, unmoved, moved = map(list, compare([still, actor], 3, seed=5, temperature=1.0))
    assert prior == unmoved == list(generate(actor.model, 3, seed=5, temperature=1.0))
    assert moved == list(actor.generate(3, seed=5, temperature=1.0)) != prior


def test_actors_are_compared_on_one_model_and_in_one_way(actor, tiny_model):
    with pytest.raises(UsageError, match="give at least one actor to compare the prior with"):
        compare([], 1)
    with pytest.raises(UsageError, match="compared actors move points of one model, got "):
        compare([actor, replace(actor, model=tiny_model)], 1)
    warm = replace(actor, temperature=0.9)
    with pytest.raises(UsageError, match="at different values of temperature; give one for"):
        compare([actor, warm], 1)
    assert len(compare([actor, warm], 1, temperature=0.5)) == 3


@pytest.mark.usefixtures("few_draws")
def test_each_actor_draws_in_its_scale_and_the_prior_in_none(one_round):
    model = load_model("staff")
    actors = [
        train_actor(model, [rule], settings=one_round, announce=lambda text: None)
        for rule in ("scale:D-dorian", "cmajor")
    ]
    prior, dorian, other = compare(actors, 2, seed=5)
    assert list(prior) == list(generate(model, 2, seed=5))
    for column, actor in ((dorian, actors[0]), (other, actors[1])):
        assert list(column) == list(actor.generate(2, seed=5))
    assert set((dorian.pitches[dorian.onsets] % 12).tolist()) <= set(actors[0].scale)
    assert set((prior.pitches[prior.onsets] % 12).tolist()) - set(actors[0].scale)
