"""Recipes: what they refuse, and the paper's values."""

from dataclasses import asdict

import pytest

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.settings import PRESETS, ActorCriticSettings
from melodyconstraints.storage.artifacts import from_json


@pytest.mark.parametrize(
    "name",
    [
        *("rounds", "actor_points", "critic_steps"),
        *("penalty_points", "actor_every", "validate_every"),
    ],
)
def test_settings_that_do_nothing_are_refused(name):
    with pytest.raises(UsageError, match=f"{name} must be at least 1, got 0"):
        ActorCriticSettings(**{name: 0})


def test_a_batch_of_one_point_has_no_spread_and_is_refused():
    with pytest.raises(UsageError, match="batch_size must be at least 2, got 1"):
        ActorCriticSettings(batch_size=1)


@pytest.mark.parametrize("sharpness", [-0.1, 1.5])
def test_a_sharpness_outside_its_range_is_refused(sharpness):
    with pytest.raises(UsageError, match=rf"sharpness must be in \[0, 1\], got {sharpness}"):
        ActorCriticSettings(sharpness=sharpness)


def test_the_default_preset_is_the_default():
    assert PRESETS["default"] == ActorCriticSettings()


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_settings_come_back_from_json(preset):
    assert from_json(ActorCriticSettings, asdict(preset)) == preset


def test_settings_under_their_former_names_are_read():
    written = {"memory": 7, "average": 0.5, "final_share": 0.1}
    assert from_json(ActorCriticSettings, written) == ActorCriticSettings(
        replay_size=7, ema_decay=0.5, final_learning_rate_fraction=0.1
    )


def test_settings_of_another_version_are_refused():
    with pytest.raises(ValueError, match="shell\n  Unexpected keyword argument"):
        from_json(ActorCriticSettings, {"shell": 1.0})


def test_the_papers_preset_is_the_appendix_and_nothing_else():
    assert asdict(PRESETS["paper"]) == {
        # appendix 9.2.4 and 9.2.5: the networks
        "actor_hidden": (2048, 2048, 2048, 2048),
        "critic_hidden": (2048, 2048, 2048, 2048),
        "condition_units": 2048,
        "gate_bias": 0.0,
        # 9.2: ten steps of D to one of G, one point of p(z) to ten of G(p(z))
        "critic_steps": 1,
        "actor_steps": 1,
        "actor_every": 10,
        "actor_points": 60,
        "prior_points": 6,
        "learning_rate": 3e-4,
        "betas": (0.0, 0.9),
        "final_learning_rate_fraction": 1.0,
        # 9.2, after Gulrajani et al. (2017): on all points of a batch, on both sides of 1
        "gradient_penalty": 10.0,
        "penalty_points": 66,
        "one_sided": False,
        # not in the paper, but for lambda_dist of faces (Table 1)
        "rounds": 5000,
        "batch_size": 66,
        "distance_weight": 0.1,
        # of the default recipe alone
        "bank": 0,
        "warmup_steps": 0,
        "replay_size": 0,
        "prior_weight": 0.0,
        "sharpness": 0.0,
        "ema_decay": 0.0,
        "validation": 0,
        "validate_every": 10,
        "plain": True,
    }
