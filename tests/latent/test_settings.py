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


def test_the_papers_preset_holds_the_papers_values():
    paper = PRESETS["paper"]
    assert paper.actor_hidden == paper.critic_hidden == (2048,) * 4
    assert (paper.condition_units, paper.gate_bias) == (2048, 0.0)
    assert (paper.gradient_penalty, paper.one_sided) == (10.0, False)
    assert paper.batch_size // paper.penalty_points <= 1  # the penalty is taken on all points
    assert (paper.learning_rate, paper.betas, paper.final_learning_rate_fraction) == (
        3e-4,
        (0.0, 0.9),
        1.0,
    )
    assert paper.actor_every * paper.critic_steps == 10 * paper.actor_steps
    assert paper.actor_points / paper.prior_points == pytest.approx(10, rel=0.1)
    assert (paper.bank, paper.warmup_steps, paper.replay_size) == (0, 0, 0)
    assert (paper.sharpness, paper.prior_weight, paper.ema_decay, paper.validation) == (0, 0, 0, 0)
