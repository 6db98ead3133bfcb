"""Examples: which are learned from, which are held out, how melodies are compared with them."""

import numpy as np
import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.networks import Critic, Critics
from melodyconstraints.melody.events import Melodies, Melody
from melodyconstraints.melody.metrics.distances import compare_feature
from melodyconstraints.melody.metrics.statistics import FEATURES
from melodyconstraints.melody.vae.encoding import encode
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.evaluate_actor import evaluate_actor
from melodyconstraints.workflows.examples import digests, held_out, learned_from, read_examples
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.train_actor import LIKE, train_actor


def tunes(count: int, low: int) -> Melodies:
    """Melodies of quarters, no two alike."""
    return Melodies.stack(
        [
            Melody.from_notes(
                [(4 * beat, 4, low + (beat * (number + 1)) % 12) for beat in range(64)]
            )
            for number in range(count)
        ]
    )


def test_few_examples_are_all_learned_from():
    assert learned_from(tunes(9, 60)).events.shape == (9, 256)


def test_about_one_in_five_is_held_out_whatever_the_order(rng):
    examples = Melodies(np.unique(rng.integers(0, 128, (400, 256)).astype(np.uint8), axis=0))
    learned = learned_from(examples)
    assert 280 <= len(learned) <= 360  # 320 on average; the limits are five deviations away
    other_order = learned_from(Melodies(examples.events[::-1].copy()))
    assert digests(other_order) == digests(learned)
    rest = held_out(examples, digests(learned), "liked")
    assert len(rest) + len(learned) == len(examples)
    assert not digests(rest) & digests(learned)


def test_examples_that_were_all_learned_from_are_refused():
    examples = tunes(4, 60)
    with pytest.raises(UsageError, match="1 of 4 liked melodies were not used"):
        held_out(examples, digests(examples[:3]), "liked")


def test_an_actor_names_the_examples_that_it_learned_from(
    tiny_model_folder, tiny_settings, tmp_path
):
    like, unlike = tunes(12, 60), tunes(4, 30)
    model = load_model(tiny_model_folder)
    trained = train_actor(model, like=like, unlike=unlike, settings=tiny_settings)
    expected = digests(learned_from(like), unlike)
    assert trained.examples == expected
    trained.save(tmp_path)
    assert load_actor(tmp_path).examples == expected


@pytest.fixture
def actor(tiny_model, tiny_settings) -> MelodyActor:
    """A search by an untrained critic of likeness."""
    torch.manual_seed(3)
    return MelodyActor(
        model=tiny_model,
        rules=[],
        actor=None,
        critic=Critics([Critic(8, 1, (16,))]),
        heads=((LIKE,),),
        method="gradient",
        settings=tiny_settings,
        examples=digests(tunes(1, 60)),
    )


def test_likeness_is_that_of_held_out_examples(actor):
    like, unlike = tunes(5, 60), tunes(4, 30)
    found = evaluate_actor(actor, 6, like=like, unlike=unlike)
    assert (found.all_satisfied, found.prior_all_satisfied) == (None, None)
    examples = found.examples
    assert (examples.liked, examples.unliked) == (4, 4)
    liked = Melodies(like.events[1:])
    for name, melodies in (("liked", liked), ("unliked", unlike)):
        with torch.no_grad():
            logits = actor.critic(encode(actor.model, list(melodies)).mean, None)
        assert examples.predicted[name] == float((logits >= 0).float().mean())
    area = np.mean(
        [compare_feature(one(liked), one(unlike)).overlapping_area for one in FEATURES.values()]
    )
    assert examples.overlapping_area["unliked"] == pytest.approx(area)
    assert set(examples.overlapping_area) == {"unliked", "prior", "actor"}
    assert found.as_dict()["examples"]["liked"] == 4


def test_examples_are_for_an_actor_that_learned_from_some(actor, tiny_model, tiny_settings):
    with pytest.raises(UsageError, match="give melodies of both kinds, like and unlike"):
        evaluate_actor(actor, 6, like=tunes(5, 60))
    ruled = train_actor(tiny_model, ["cmajor"], settings=tiny_settings)
    with pytest.raises(UsageError, match="learned from no examples: leave like and unlike out"):
        evaluate_actor(ruled, 6, like=tunes(5, 60), unlike=tunes(4, 30))


def test_the_same_melodies_on_both_sides_are_refused_in_any_order(tiny_model, tiny_settings):
    examples = tunes(5, 60)
    other_order = Melodies(np.concatenate([examples.events[::-1], examples.events[:1]]))
    with pytest.raises(
        UsageError,
        match="like and unlike are the same 5 melodies: nothing tells them apart; give other",
    ):
        train_actor(tiny_model, like=examples, unlike=other_order, settings=tiny_settings)


@pytest.mark.parametrize(("one", "other"), [("like", "unlike"), ("unlike", "like")])
def test_one_kind_within_the_other_is_told(one, other):
    told: list[str] = []
    sides = {one: tunes(3, 60), other: tunes(5, 60)}
    read_examples(sides["like"], sides["unlike"], told.append)
    assert told == [f"all melodies of {one} are among those of {other} too: they are hard to tell"]
    read_examples(tunes(3, 60), tunes(3, 30), told.append)
    assert len(told) == 1
