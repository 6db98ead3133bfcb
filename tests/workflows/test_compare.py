"""The same points under several actors."""

from dataclasses import replace

import pytest
from torch import nn

from melodyconstraints.errors import UsageError
from melodyconstraints.workflows.actor import load_actor
from melodyconstraints.workflows.compare import compare
from melodyconstraints.workflows.generate import generate


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
    with pytest.raises(UsageError, match=r"in different ways, Sampling\(temperature=0.5.*give a"):
        compare([actor, warm], 1)
    assert len(compare([actor, warm], 1, temperature=0.5)) == 3
