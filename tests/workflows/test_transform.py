"""A melody moved as little as the rules need: what is kept, what is reached, what is measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from melodyconstraints.errors import UsageError
from melodyconstraints.latent.losses import cross_entropy
from melodyconstraints.latent.networks import Actor, Critic, Critics
from melodyconstraints.melody.events import HOLD, Melodies, Melody
from melodyconstraints.melody.vae.sampler import MelodySampler
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.config import StaffConfig
from melodyconstraints.melody.vae.staff.model import StaffGenerator
from melodyconstraints.rules import find_rules
from melodyconstraints.rules.rewards import rewards_of
from melodyconstraints.storage.cache import CACHE
from melodyconstraints.workflows import neighbourhood as search_module
from melodyconstraints.workflows import transform as module
from melodyconstraints.workflows.actor import MelodyActor
from melodyconstraints.workflows.bank import load_bank
from melodyconstraints.workflows.conditional import train_knobs
from melodyconstraints.workflows.editing import in_key, in_scale, keep, repeats_of, restore
from melodyconstraints.workflows.train_actor import train_actor
from melodyconstraints.workflows.transform import Transformation, transform, transforming

pytestmark = pytest.mark.usefixtures("quick_search")

WHITE = [0, 2, 4, 5, 7, 9, 11]


def starts_low(melody: Melody) -> float:
    """The nearer the first note is to pitches below 64; about every other point decodes to one."""
    return 0.0 if not len(melody) else min(1.0, (191 - melody.pitches[0]) / 128)


def never(melody: Melody) -> float:
    """Graded and never 1: the share of white keys, halved."""
    return 0.5 * float(np.isin(melody.pitch_classes, WHITE).mean()) if len(melody) else 0.0


@pytest.fixture
def actor_for(tiny_model, tiny_settings):
    """An untrained actor for rules."""

    def make(*rules) -> MelodyActor:
        found = find_rules(rules)
        networks = Actor(8, (16,)), Critics([Critic(8, len(found), (16,))])
        heads = (tuple(rule.name for rule in found),)
        return MelodyActor(
            model=tiny_model,
            rules=found,
            actor=networks[0],
            critic=networks[1],
            heads=heads,
            settings=tiny_settings,
        )

    return make


@pytest.fixture
def tune() -> Melody:
    """64 quarters, one in four of them a black key."""
    return Melody.from_notes([(4 * beat, 4, (60, 62, 64, 66)[beat % 4]) for beat in range(64)])


def reward(rules, melody: Melody) -> np.ndarray:
    return rewards_of(rules, Melodies.stack([melody]))[0]


# Form


def test_bars_that_equal_one_another_go_on_doing_so(actor_for, monkeypatch):
    """AABB of whole notes, of which each first half may be changed."""
    tune = Melody.from_notes([(16 * bar, 16, 60 + 4 * (bar // 2 % 2)) for bar in range(16)])
    decoded, plain = [], search_module.with_repeats

    def watch(*arguments):
        decoded.append(plain(*arguments))
        return decoded[-1]

    monkeypatch.setattr(search_module, "with_repeats", watch)
    monkeypatch.setattr(search_module, "MOST_ROUNDS", search_module.ROUNDS)
    transform(actor_for(never), tune)
    assert decoded
    for melodies in decoded:
        bars = melodies.bars
        assert (bars[:, 0::4] == bars[:, :1]).all()
        assert (bars[:, 1::4] == bars[:, :1]).all()
        assert (bars[:, 2::4] == bars[:, 2:3]).all()


def test_form_is_let_go_where_no_rule_is_satisfied_with_it(actor_for, tune):
    def uneven(melody: Melody) -> float:
        """Half, unless two bars differ, which of this tune none do."""
        return 1.0 if (melody.bars[0] != melody.bars[1]).any() else 0.5

    (found,) = transform(actor_for(uneven), tune)
    assert found.satisfied


def test_what_a_bar_gets_back_its_repeats_get_too(tune):
    changed = Melody.from_notes([(4 * beat, 4, 60) for beat in range(64)])

    def first_two(melody: Melody) -> float:
        return float((melody.bars[0] == changed.bars[0]).all())

    together = restore(tune, changed, find_rules([first_two]), [0, 0, *range(2, 16)])
    assert np.array_equal(together.bars[:2], changed.bars[:2])
    assert np.array_equal(together.bars[2:], tune.bars[2:])
    alone = restore(tune, changed, find_rules([first_two]))
    assert np.array_equal(alone.bars[1:], tune.bars[1:])


def test_rounds_are_reported(actor_for, tune):
    told = []
    transform(actor_for(never), tune, variations=2, callback=lambda *at: told.append(at))
    rounds = module.MOST_ROUNDS
    assert told == [(number, 2 * rounds) for number in range(2 * rounds)]


# What is measured


def test_notes_kept_are_those_with_their_pitch_at_their_step():
    before = Melody.from_notes([(0, 4, 60), (4, 4, 62), (8, 8, 64), (16, 4, 65)])
    after = Melody.from_notes([(0, 2, 60), (4, 4, 63), (9, 8, 64), (16, 4, 65), (20, 4, 60)])
    rewards = np.array([0.2, 1.0])
    found = Transformation(before, after, rewards, np.array([1.0, 1.0]), 0.5, 7)
    assert found.notes_kept == 2 / 4
    assert found.satisfied
    assert not Transformation(after, before, rewards, rewards, 0.5, 7).satisfied
    assert Transformation(after, before, rewards, rewards, 0.5, 7).notes_kept == 2 / 5


@pytest.mark.parametrize("strength", [0.5, 1.0, 2.0])
def test_distance_is_the_mean_squared_shift_over_the_posteriors_scale(
    actor_for, tune, strength, monkeypatch
):
    actor = actor_for(never)
    actor.model.sigma_bar.copy_(torch.linspace(0.1, 0.8, 8))
    shifts = torch.tensor([3.0, -1.0, 0, 0, 0, 0, 0, 2.0])

    def found(search, shifted=None) -> search_module.Candidate:
        point = search.start + actor.model.sigma_bar * shifts
        return search_module.Candidate((True, 1.0, 0.0), point, tune)

    monkeypatch.setattr(search_module.Neighbourhood, "run", found)
    (one,) = transform(actor, tune, strength=strength)
    assert one.distance == pytest.approx(strength**2 * 14 / 8, rel=1e-4)


# What comes back


def test_a_melody_that_satisfies_the_rules_comes_back_as_it_is(actor_for, tune):
    actor = actor_for("density:64", "pitch-classes:0,2,4,6")
    for options in ({}, {"strength": 0.0}, {"strength": 3.0}, {"keep_bars": [2]}):
        (found,) = transform(actor, tune, **options)
        assert found.melody == tune
        assert (found.distance, found.decoded, found.notes_kept) == (0, 0, 1)
        assert found.before.tolist() == found.after.tolist() == [1, 1]
        assert found.satisfied
    first, second = transform(actor, tune, variations=2)
    assert first.melody == tune
    assert second.decoded > 0


def test_a_rule_within_reach_is_satisfied(tiny_model, tiny_settings):
    actor = train_actor(tiny_model, [starts_low], settings=tiny_settings)
    high = Melody.from_notes([(4 * beat, 4, 100) for beat in range(64)])
    # Every other point decodes to a low start; the shortened search tries some dozens a seed.
    by_seed = (transform(actor, high, seed=seed)[0] for seed in range(10))
    found = next(one for one in by_seed if one.satisfied)
    assert found.before.tolist() == [pytest.approx(91 / 128)]
    assert found.after.tolist() == [1]
    assert found.melody.pitches[0] < 64
    assert found.satisfied
    assert found.original == high
    assert found.decoded > 0


def test_a_rule_that_is_never_satisfied_ends_with_the_best_found(actor_for, tune, monkeypatch):
    actor = actor_for(never)
    seen = []
    tried = search_module.Neighbourhood._try

    def remember(search, points):
        seen.extend(never(melody) for melody in search.decode(points))
        return tried(search, points)

    monkeypatch.setattr(search_module.Neighbourhood, "_try", remember)
    (found,) = transform(actor, tune)
    assert not found.satisfied
    assert found.after.tolist() == [max(seen)]
    assert found.after.tolist() == [never(found.melody)]
    assert found.before.tolist() == [0.5 * 3 / 4]
    assert found.decoded == len(seen)


def test_of_all_that_satisfy_rules_the_one_with_most_notes_is_taken(actor_for, tune, monkeypatch):
    # of the tiny model's melodies all have so many notes
    actor = actor_for("density:100")
    seen = []
    decode = search_module.Neighbourhood.decode

    def remember(search, points):
        seen.extend(melodies := decode(search, points))
        return melodies

    monkeypatch.setattr(search_module.Neighbourhood, "decode", remember)
    monkeypatch.setattr(
        search_module.Neighbourhood, "restored", lambda _, candidate: candidate.melody
    )
    (found,) = transform(actor, tune)
    counted = [Transformation(tune, one, found.before, found.after, 0, 0) for one in seen]
    assert all(len(one) >= 100 for one in seen)
    assert found.notes_kept == max(one.notes_kept for one in counted)


def test_strength_zero_is_the_reconstruction(actor_for, tune):
    actor = actor_for(never)
    sampler = MelodySampler(actor.model, Sampling(temperature=0.0))
    expected = sampler.decode(module.invert(actor.model, [tune]))
    (found,) = transform(actor, tune, strength=0.0)
    assert found.melody == expected[0]
    assert found.distance == 0
    assert found.after.tolist() == [never(found.melody)]
    (kept,) = transform(actor, tune, strength=0.0, keep_bars={3, 4})
    assert kept.melody == keep(tune, expected, {3, 4})[0]


def test_strength_is_a_share_of_the_way(actor_for):
    actor = actor_for(never)
    tune = Melody.from_notes([(4 * beat, 4, 60 + beat % 7) for beat in range(64)])
    whole, half, double = (
        transform(actor, tune, strength=strength)[0].distance for strength in (1.0, 0.5, 2.0)
    )
    assert whole > 0
    assert half == pytest.approx(whole / 4, rel=1e-4)
    assert double == pytest.approx(whole * 4, rel=1e-4)


def test_kept_bars_stay_note_for_note_whatever_the_rules_say(actor_for, tune):
    (found,) = transform(actor_for(never), tune, keep_bars=[1, 2, 16])
    for bar in (1, 2, 16):
        assert np.array_equal(found.melody.bars[bar - 1], tune.bars[bar - 1])
    assert found.melody != tune
    (whole,) = transform(actor_for(never), tune, keep_bars=range(1, 17))
    assert whole.melody == tune
    assert whole.after.tolist() == whole.before.tolist()
    assert whole.decoded == 0


def test_the_same_seed_gives_the_same_melodies(actor_for, tune):
    actor = actor_for(never)
    first, again, other = (transform(actor, tune, variations=2, seed=seed) for seed in (1, 1, 2))
    assert [one.melody for one in first] == [one.melody for one in again]
    assert [one.distance for one in first] == [one.distance for one in again]
    assert [one.distance for one in first] != [one.distance for one in other]
    assert first[0].distance != first[1].distance


def test_a_search_leaves_critic_model_and_global_generator_alone(actor_for, tune):
    actor = actor_for(never)
    before = {
        name: value.clone()
        for network in (actor.critic, actor.model)
        for name, value in network.state_dict().items()
    }
    state = torch.get_rng_state()
    transform(actor, tune)
    assert torch.equal(torch.get_rng_state(), state)
    after = actor.critic.state_dict() | actor.model.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert all(p.grad is None for p in actor.critic.parameters())


# Bars that are kept


def test_bars_are_put_in_their_places(some_melodies):
    original, others = some_melodies[0], some_melodies[1:]
    before = others.events.copy()
    assert np.array_equal(keep(original, others, ()).events, before)
    found = keep(original, others, {16, 3})
    for bar in range(1, 17):
        if bar in (3, 16):  # but for a note that sounds into it
            assert (found.bars[:, bar - 1, 1:] == original.bars[bar - 1, 1:]).all()
        elif bar != 4:  # where a hold may have lost its note
            assert np.array_equal(found.bars[:, bar - 1], others.bars[:, bar - 1])
    assert np.array_equal(others.events, before)


def test_a_note_that_sounds_into_a_kept_bar_begins_with_it():
    original = Melody.from_notes([(8, 32, 60), (40, 4, 62)])  # bars 1 to 3, then in bar 3
    other = Melodies.stack([Melody.from_notes([(0, 2, 72)])])
    (second,) = keep(original, other, [2])
    assert second == Melody.from_notes([(0, 2, 72), (16, 16, 60)])
    (third,) = keep(original, other, [3])
    assert third == Melody.from_notes([(0, 2, 72), (32, 8, 60), (40, 4, 62)])
    (both,) = keep(original, other, [3, 2])
    assert both == Melody.from_notes([(0, 2, 72), (16, 24, 60), (40, 4, 62)])
    (all_three,) = keep(original, other, [1, 2, 3])
    assert all_three == original


def test_a_kept_bar_ends_what_sounded_before_and_with_its_last_note():
    original = Melody.from_notes([(16, 4, 60), (28, 4, 62)])
    held = Melody(np.array([72] + [HOLD] * 255))
    (found,) = keep(original, Melodies.stack([held]), [2])
    assert found == Melody.from_notes([(0, 16, 72), (16, 4, 60), (28, 4, 62)])
    (found,) = keep(Melody.from_notes([(16, 4, 60)]), Melodies.stack([held]), [2])
    assert found == Melody.from_notes([(0, 16, 72), (16, 4, 60)])
    into_the_last = Melody.from_notes([(224, 16, 60), (240, 16, 62)])
    (found,) = keep(into_the_last, Melodies.stack([held]), [16])
    assert found == Melody.from_notes([(0, 240, 72), (240, 16, 62)])


def test_a_note_that_sounds_on_after_a_kept_bar_may_be_held_on():
    original = Melody.from_notes([(28, 8, 60)])  # from bar 2 into bar 3
    held = Melody.from_notes([(0, 40, 72), (40, 4, 74)])
    (found,) = keep(original, Melodies.stack([held]), [2])
    assert found == Melody.from_notes([(0, 16, 72), (28, 12, 60), (40, 4, 74)])


# What is put back


def test_without_rules_all_of_the_original_is_put_back(tune):
    other = Melody.from_notes([(0, 256, 72)])
    assert restore(tune, other, []) == tune


def test_all_that_the_rules_allow_is_put_back(tune):
    # every bar and every fourth beat of the tune holds an F#: 60 62 64 66
    other = Melody.from_notes([(4 * beat, 4, 67) for beat in range(64)])
    found = restore(tune, other, find_rules(["cmajor"]))
    expected = [(60, 62, 64, 67)[beat % 4] for beat in range(64)]
    assert found == Melody.from_notes([(4 * i, 4, pitch) for i, pitch in enumerate(expected)])


def test_no_reward_becomes_smaller(some_melodies):
    rules = find_rules(["cmajor", "density:90", "steps:60%"])
    original = some_melodies[0]
    for changed in some_melodies[1:4]:
        before, found = reward(rules, changed), restore(original, changed, rules)
        assert (reward(rules, found) >= before).all()
        assert (found.events == original.events).sum() > (changed.events == original.events).sum()


# What a model is asked for


@pytest.fixture(scope="module")
def staff_model():
    """An untrained staff generator, which writes in any scale."""
    torch.manual_seed(0)
    return StaffGenerator(StaffConfig(layers=1, flow_layers=2)).eval()


def test_of_a_scale_a_model_is_asked_for_the_notes_alone(staff_model):
    actor = transforming(staff_model, "D-dorian", "40..60", ["final-note:A"])
    assert actor.names == ["notes of D-dorian", "final-note:A", "density:40..60"]
    assert transforming(staff_model, "0,2,4").names == ["pitch-classes:0,2,4"]
    assert actor.rules[0].tonic == 2
    assert transforming(staff_model, rules=["scale:D-dorian"]).names == ["scale:D-dorian"]
    assert transforming(staff_model, density=96, rules="cmajor").names == ["cmajor", "density:96"]


def test_a_key_is_the_scale_where_none_is_given(staff_model):
    assert transforming(staff_model, key="A-minor").key == "Am"
    assert transforming(staff_model, "D-dorian", key="A-minor").tonic == 2


def test_a_model_takes_a_melody_to_a_scale_as_the_actor_made_of_it_does(staff_model, tune):
    (found,) = transform(staff_model, tune, scale="D-dorian")
    (expected,) = transform(transforming(staff_model, "D-dorian"), tune)
    assert found.melody == expected.melody == in_scale(tune, [2, 4, 5, 7, 9, 11, 0])
    assert found.satisfied


def test_a_melody_is_first_moved_into_a_key(staff_model, tune):
    (found,) = transform(staff_model, tune, key="A-minor")
    assert found.melody == found.original == in_key(tune, "A-minor") != tune
    rules = transforming(staff_model, key="A-minor").rules
    assert found.before.tolist() == reward(rules, tune).tolist() != [1]
    assert (found.after.tolist(), found.decoded) == ([1], 0)


def test_an_actor_moves_a_melody_into_a_key_before_it_satisfies_its_own_rules(actor_for, tune):
    (found,) = transform(actor_for("density:64"), tune, key="C-major")
    assert found.melody == in_key(tune, "C-major") != tune


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_bars": [0, 1]}, r"bars to keep must be from 1 to 16, got \[0, 1\]"),
        ({"keep_bars": {17}}, r"bars to keep must be from 1 to 16, got \[17\]"),
        ({"strength": -0.5}, r"strength must be a number of at least 0, got -0\.5"),
        ({"strength": float("nan")}, "strength must be a number of at least 0, got nan"),
        ({"strength": float("inf")}, "strength must be a number of at least 0, got inf"),
        ({"variations": 0}, "variations must be at least 1, got 0"),
    ],
    ids=str,
)
def test_wrong_options_are_refused(actor_for, tune, options, message):
    with pytest.raises(UsageError, match=message):
        transform(actor_for(never), tune, **options)


def test_an_actor_without_rules_is_refused(actor_for, tune):
    with pytest.raises(UsageError, match="needs an actor with rules; train one with rules"):
        transform(replace(actor_for(never), rules=[]), tune)


@pytest.mark.parametrize("asked", [{"scale": "C-major"}, {"density": 9}, {"rules": ["cmajor"]}])
def test_an_actor_is_asked_for_its_own_rules_alone(actor_for, tune, asked):
    with pytest.raises(UsageError, match="scale, density and rules go with a model; an actor has"):
        transform(actor_for(never), tune, **asked)


def test_a_model_that_is_asked_for_nothing_is_refused(tiny_model, tune):
    with pytest.raises(UsageError, match="a transformation needs a scale, key, density or rules"):
        transform(tiny_model, tune)


@pytest.fixture
def knobs(tiny_model, tiny_settings, monkeypatch, tmp_path):
    """Knobs at D dorian and 60 notes, which have no critic, and a small bank."""
    monkeypatch.setenv(CACHE, str(tmp_path))
    monkeypatch.setitem(load_bank.__wrapped__.__kwdefaults__, "size", 64)
    monkeypatch.setattr(module, "BANK_STEPS", 30)
    return train_knobs(tiny_model, tiny_settings).at("D-dorian", 60)


def test_notes_in_the_scale_need_no_search(knobs, tune, monkeypatch):
    monkeypatch.setattr(module, "_critic_of_bank", None)
    (found,) = transform(knobs, tune)
    assert found.satisfied
    assert found.melody == in_scale(tune, knobs.pitch_classes)
    assert (found.distance > 0, found.decoded) == (True, 0)


def test_an_actor_of_a_scale_needs_no_search_but_where_it_learned_more(actor_for, tune):
    actor = actor_for("cmajor")
    (found,) = transform(actor, tune)
    assert (found.satisfied, found.decoded) == (True, 0)
    assert found.melody == in_scale(tune, actor.pitch_classes)
    assert found.notes_kept == 0.75  # all that were in it
    critics = Critics([Critic(8, 1, (16,)), Critic(8, 1, (16,))])
    heads = {"heads": (("cmajor",), ("realism",)), "weights": (1.0, 1.0)}
    learned = replace(actor, critic=critics, **heads)
    assert transform(learned, tune)[0].decoded > 0


def test_where_only_kept_bars_hold_other_notes_there_is_no_search(knobs, tune, monkeypatch):
    monkeypatch.setattr(module, "_critic_of_bank", None)
    (found,) = transform(knobs, tune, keep_bars={2})  # with an F sharp
    assert (found.satisfied, found.decoded) == (False, 0)
    elsewhere = found.melody.onsets // 16 != 1
    assert set(found.melody.pitch_classes[elsewhere]) <= set(knobs.pitch_classes)
    assert np.array_equal(found.melody.bars[1], tune.bars[1])


def test_knobs_learn_a_critic_from_the_bank_and_the_actors_own_point_is_tried(
    knobs, tune, monkeypatch
):
    tried, whole = [], search_module.Neighbourhood._try

    def watch(search, points):
        tried.append((search, points))
        return whole(search, points)

    monkeypatch.setattr(search_module.Neighbourhood, "_try", watch)
    for one in (module, search_module):
        monkeypatch.setattr(one, "in_scale", lambda melody, _: melody)  # which would be enough
    (found,) = transform(knobs, tune)
    search, first = tried[0]
    assert search.actor.heads == (tuple(knobs.names),)
    with torch.no_grad():
        shifted = knobs.shift(search.start)
    assert any(torch.allclose(point, shifted[0]) for point in first)
    assert found.decoded == sum(len(points) for _, points in tried)
    assert found.before.tolist() == reward(knobs.rules, tune).tolist()


def test_the_critic_of_the_bank_predicts_its_rewards(knobs, tiny_model, monkeypatch):
    monkeypatch.setattr(module, "BANK_STEPS", 400)
    monkeypatch.setattr(module, "SHARPNESS", 0.0)
    bank = load_bank(tiny_model)
    wanted = torch.from_numpy(rewards_of(knobs.rules[:1], bank.melodies)).float()
    critic = module._critic_of_bank(knobs, seed=1)["critic"]
    with torch.no_grad():
        learned = cross_entropy(critic(bank.points)[:, :1], wanted)
    # A critic that learned nothing of the points gives their mean reward everywhere.
    mean = torch.logit(wanted.mean(0)).expand_as(wanted)
    assert learned < cross_entropy(mean, wanted)


def test_a_melody_that_satisfies_knobs_needs_no_bank(knobs, monkeypatch):
    monkeypatch.setattr(module, "load_bank", None)
    dorian = Melody.from_notes([(4 * beat, 4, (62, 65, 69, 71)[beat % 4]) for beat in range(64)])
    (found,) = transform(knobs, dorian)
    assert found.melody == dorian


def test_variations_of_a_melody_that_satisfies_knobs_are_searched_for(knobs):
    dorian = Melody.from_notes([(4 * beat, 4, (62, 65, 69, 71)[beat % 4]) for beat in range(64)])
    first, second = transform(knobs, dorian, variations=2)
    assert (first.melody, first.decoded) == (dorian, 0)
    assert second.decoded > 0


# What the search around a melody does


@pytest.fixture
def neighbourhood(actor_for, tune):
    """A search around a tune, all of whose bars are kept unless others are asked for."""
    reported: list[int] = []

    def make(rule=never, bars=range(1, 17)):
        actor = actor_for(rule)
        start = module.invert(actor.model, [tune])
        return search_module.Neighbourhood(
            *(actor, tune, start, frozenset(bars)),
            *(torch.Generator().manual_seed(0), reported.append),
        )

    return make


def test_of_melodies_that_are_as_good_the_nearest_is_taken(neighbourhood):
    search = neighbourhood()
    shifts = torch.tensor([[0.5], [0.1], [-0.2], [2.0]])
    best = search._try(search.start + shifts)
    assert torch.equal(best.point, search.start + 0.1)
    assert torch.equal(search._try(search.start + 0.3).point, search.start + 0.1)
    assert torch.equal(search._try(search.start + 0.05).point, search.start + 0.05)


def test_of_melodies_that_satisfy_the_rules_the_one_that_keeps_most_notes_is_taken(
    neighbourhood, tune, monkeypatch
):
    notes = list(zip(tune.onsets, [4] * 64, tune.pitches, strict=True))
    few, most, some = (Melody.from_notes(notes[:count]) for count in (8, 48, 24))
    search = neighbourhood(lambda melody: 1.0)
    monkeypatch.setattr(search, "decode", lambda _: Melodies.stack([few, most, some]))
    shifts = torch.tensor([[0.1], [0.5], [0.3]])
    best = search._try(search.start + shifts)
    assert (best.satisfied, best.melody) == (True, most)
    assert torch.equal(best.point, search.start + 0.5)


def test_searches_follow_what_the_critic_has_learned(neighbourhood):
    search = neighbourhood(starts_low, bars=())
    search._try(torch.cat([search.around(search.start, 1.0) for _ in range(4)]))
    untaught = search._searched(search.start)
    for _ in range(60):
        search.learner.step()
    taught = search._searched(search.start)
    with torch.no_grad():
        assert search.critic(taught).mean() > search.critic(untaught).mean()


def test_searches_are_pulled_back_to_the_priors_shell(neighbourhood):
    search = neighbourhood()
    search.critic = lambda z, _: 0.01 * z.sum(-1, keepdim=True) - 5.0  # D grows without end
    outside = torch.full((1, 8), 2.0)  # |z|^2 / Z is 4, the shell's 1
    assert search._searched(outside).square().mean() < 4
    inside = torch.full((1, 8), 0.5)
    assert search._searched(inside).square().mean() > 0.25


def test_what_is_found_is_projected_back_to_the_original(neighbourhood, tune, monkeypatch):
    search, targets = neighbourhood(bars=()), []
    plain = module.invert

    def recording(model, melodies, **options):
        targets.extend(melodies)
        return plain(model, melodies, **options)

    monkeypatch.setattr(search_module, "invert", recording)
    candidate = search._try(search.around(search.start, 1.0))
    expected = restore(tune, candidate.melody, search.actor.rules, repeats_of(tune))
    assert torch.equal(search.project(candidate), plain(search.actor.model, [expected]))
    assert targets == [expected]
    search.run()
    assert len(targets) == 1 + search_module.MOST_ROUNDS - search_module.PURE_ROUNDS


def test_the_projection_of_the_best_is_tried(neighbourhood, monkeypatch):
    search, tried, projected = neighbourhood(bars=()), [], []
    plain_try, project = search._try, search.project

    def watched(points):
        tried.append(points)
        return plain_try(points)

    def projecting(candidate):
        assert candidate is search.best
        projected.append((len(tried), project(candidate)))
        return projected[-1][1]

    monkeypatch.setattr(search, "_try", watched)
    monkeypatch.setattr(search, "project", projecting)
    search.run()
    assert len(projected) == search_module.MOST_ROUNDS - search_module.PURE_ROUNDS
    for number, point in projected:
        assert (tried[number] == point).all(1).any()


def test_the_critic_is_taught_the_neighbourhood(neighbourhood, monkeypatch):
    search = neighbourhood(bars=())
    monkeypatch.setattr(search_module, "CRITIC_STEPS", 60)
    search.run()
    points = search.constraint.points
    targets = search.constraint.measured

    def loss(critic):
        with torch.no_grad():
            return cross_entropy(critic(points), targets).item()

    assert loss(search.critic) < loss(search.actor.critic)


def test_what_the_rules_allow_of_the_original_is_put_back(actor_for, tune):
    """Notes are to be added only, and the tiny model's melodies keep none of the tune's."""
    (found,) = transform(actor_for("density:100"), tune)
    assert found.satisfied
    assert found.notes_kept > 0.9
