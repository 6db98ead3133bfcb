"""The staff generator's knobs: a scale holds for every note, and ranges are asked for in z."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from melodyconstraints.errors import TrainingError, UsageError
from melodyconstraints.latent.evolution import EvolutionSearch
from melodyconstraints.melody.events import Melodies, Melody, transposed
from melodyconstraints.melody.metrics.agreement import onset_recall
from melodyconstraints.melody.metrics.modes import tonic_lags
from melodyconstraints.melody.metrics.typical import typicality
from melodyconstraints.melody.vae.sampling import Sampling
from melodyconstraints.melody.vae.staff.attributes import NAMES
from melodyconstraints.rules import all_of, find_rules
from melodyconstraints.rules.rewards import satisfies_all
from melodyconstraints.storage.text import json_text
from melodyconstraints.workflows.conditional import load_knobs
from melodyconstraints.workflows.evaluate_actor import evaluate_actor
from melodyconstraints.workflows.generate import generate
from melodyconstraints.workflows.knobs import KNOBS, preference, scale_read
from melodyconstraints.workflows.load_actor import load_actor
from melodyconstraints.workflows.models import load_model
from melodyconstraints.workflows.reroll import reroll
from melodyconstraints.workflows.train_actor import train_actor
from melodyconstraints.workflows.untrained_actor import searching_actor

D_DORIAN = (2, 4, 5, 7, 9, 11, 0)
WHITE = frozenset(D_DORIAN)


pytestmark = pytest.mark.usefixtures("few_draws")


@pytest.fixture(scope="module")
def knobs():
    return load_knobs()


@pytest.fixture(scope="module")
def prior(knobs):
    """Melodies for which nothing is asked."""
    return generate(knobs.model, 12, seed=5)


def test_the_default_model_has_knobs_of_its_own(knobs):
    assert knobs.model.folder == "staff"
    assert load_knobs(model=load_model("staff")).model.fingerprint == knobs.model.fingerprint


@pytest.mark.parametrize(
    ("specs", "scale"),
    [
        (["density:4", "Am", "scale:D-dorian"], (9, 11, 0, 2, 4, 5, 7)),  # the first
        (["scale:C-whole-tone"], frozenset({0, 2, 4, 6, 8, 10})),  # which has no tonic
        (["C-whole-tone"], frozenset({0, 2, 4, 6, 8, 10})),
        (["cmajor", "pitch-classes:0,2,6"], frozenset({0, 2})),  # what is in all plain sets
        (["pitch-classes:1", "pitch-classes:2"], ()),
        (["cmajor", "scale:D-dorian"], (2, 4, 5, 7, 9, 11, 0)),  # a scale comes before one
        (["cadence:D-dorian", "key:A-minor"], ()),
    ],
)
def test_a_staff_is_read_in_a_scale_that_has_a_name(knobs, tiny_model, specs, scale):
    assert scale_read(knobs.model, find_rules(specs)) == scale
    assert scale_read(tiny_model, find_rules(specs)) == ()


def test_a_users_function_is_no_scale_whatever_its_name(knobs):
    def cmajor(melody):
        return float(len(melody) > 3)

    def Em(melody):
        return float(len(melody) > 3)

    assert scale_read(knobs.model, find_rules([cmajor, Em])) == ()


def test_an_actor_is_trained_and_draws_in_the_scale_of_its_rules(knobs, one_round, tmp_path):
    rules, news = ["scale:D-phrygian", "steps:60%"], []
    actor = train_actor(knobs.model, rules, settings=one_round, announce=news.append)
    actor.save(tmp_path / "actor")
    for one in (actor, load_actor(tmp_path / "actor")):
        assert one.scale == (2, 3, 5, 7, 9, 10, 0)
        melodies = one.generate(2, seed=7)
        assert set((melodies.pitches[melodies.onsets] % 12).tolist()) <= set(one.scale)


def test_an_actor_of_a_plain_set_has_nothing_to_learn(knobs, one_round, tmp_path):
    """Points stay, and so do the notes that lie in the set; what is learned beside it, is."""
    news = []
    actor = train_actor(knobs.model, ["cmajor"], settings=one_round, announce=news.append)
    assert news == [
        "melodies are written in the notes of cmajor",
        "nothing is left to learn: every melody drawn satisfies every rule",
    ]
    assert actor.best == 1
    assert not actor.records
    actor.save(tmp_path / "actor")
    for one in (actor, load_actor(tmp_path / "actor")):
        assert one.scale == frozenset({0, 2, 4, 5, 7, 9, 11})
        measured = evaluate_actor(one, 128, seed=3)
        assert measured.all_satisfied == 1
        assert measured.moved.z_mse == 0
        assert measured.moved.surviving_notes > 0.5


def test_beside_other_rules_a_set_is_learned_and_what_is_drawn_is_written_in_it(knobs, one_round):
    actor = train_actor(knobs.model, ["cmajor", "steps:60%"], settings=one_round)
    assert actor.scale == frozenset({0, 2, 4, 5, 7, 9, 11})
    assert actor.records[0].rewards[0] < 1
    assert (actor.rules[0](actor.generate(8, seed=2)) == 1).all()


def test_an_actor_in_a_set_is_described_as_json(knobs, one_round):
    actor = train_actor(knobs.model, ["pitch-classes:4,2,0"], settings=one_round)
    facts = json.loads(json_text(asdict(actor.sampling({"seed": 3}))))
    assert facts["scale"] == [0, 2, 4]


@pytest.mark.parametrize("rule", ["cmajor", "scale:D-dorian"])
def test_the_papers_recipe_learns_a_scale_in_z(knobs, one_round, rule):
    plain = replace(one_round, plain=True)
    actor = train_actor(knobs.model, [rule], settings=plain)
    assert actor.scale == ()
    assert len(actor.records) == plain.rounds


def test_a_scale_of_weight_0_is_measured_only(knobs, one_round):
    rules = ["scale:D-phrygian", "steps:60%"]
    actor = train_actor(knobs.model, rules, weights=[0, 1], settings=one_round)
    assert actor.scale == ()


def test_melodies_of_a_scale_lie_in_it(knobs):
    for setting, allowed in (("E-hirajoshi", {4, 6, 7, 11, 0}), ("D,C,A", {0, 2, 9})):
        melodies = knobs.at(setting).generate(2, seed=7)
        assert set((melodies.pitches[melodies.onsets] % 12).tolist()) <= allowed


def test_in_a_set_every_note_lies_in_it(knobs):
    z = torch.randn(8, knobs.model.latent_dim, generator=torch.Generator().manual_seed(1))
    for pitch_classes in ({1, 3, 6, 8, 10}, {0}, {0, 1, 2, 6}, set(range(12))):
        sampling = Sampling(scale=frozenset(pitch_classes))
        drawn = Melodies(knobs.model.decode(z, sampling).numpy().astype(np.uint8))
        assert set((drawn.notes.pitches % 12).tolist()) <= pitch_classes
    free = knobs.model.decode(z, Sampling())
    assert torch.equal(torch.from_numpy(drawn.events.astype(np.int64)), free)


def test_near_a_melody_lines_stay_where_they_are(knobs):
    """It rests on C, and what D dorian needs is searched for; anew it may rest on D at once."""
    around_c = (60, 64, 67, 64, 62, 65, 64, 60)
    tune = Melody.from_notes([(4 * i, 4, around_c[i % 8]) for i in range(64)])
    (near,) = reroll(knobs.at("D-dorian"), tune, 1, strength=0.0, temperature=0.0)
    assert onset_recall(near.events[None], tune.events[None]) > 0.8


def test_what_is_drawn_in_a_scale_rests_on_its_tonic(knobs):
    """Of those of the mode alone, read from the line of its tonic, 45% were named after D."""
    scale = (2, 4, 5, 7, 9, 11, 0)
    z = torch.randn(24, knobs.model.latent_dim, generator=torch.Generator().manual_seed(1))
    melodies = Melodies(knobs.model.decode(z, Sampling(scale=scale)).numpy().astype(np.uint8))
    assert (tonic_lags(melodies, scale) == 0).mean() > 0.9


@pytest.mark.parametrize("spec", ["density:40..50", "ambitus:8..12", "rests:20%..40%"])
def test_what_is_asked_for_is_far_more_frequent_than_in_the_prior(knobs, prior, spec):
    (rule,) = knobs.at(None, None, spec).rules
    asked = knobs.at(None, None, spec).generate(12, seed=5)
    assert (rule(asked) >= 0.97).mean() > (rule(prior) >= 0.97).mean() + 0.3


def test_the_asked_attribute_moves_and_what_depends_on_nothing_stays(knobs):
    model, z = knobs.model, torch.randn(5, knobs.model.latent_dim)
    moved = model.moved_to(z, {"notes": (90.0, 100.0)})
    before, after = model.parts(z), model.parts(moved)
    assert torch.equal(before.bars, after.bars)
    assert torch.equal(before.key, after.key)
    number = NAMES.index("notes")
    raw = after.attributes.double() @ torch.linalg.inv(model.scores.rotation.double())
    ranks = torch.special.ndtr(raw[:, number])
    table = model.scores.quantiles[number]
    values = np.interp(ranks.numpy(), np.linspace(0, 1, len(table)), table.numpy())
    assert ((values > 89) & (values < 101)).all()
    assert torch.equal(model.moved_to(z, {}), z)


def test_in_a_scale_the_mode_is_the_scales(knobs):
    z = torch.randn(6, knobs.model.latent_dim)
    assert knobs.model.head(z, mode=1).modes.tolist() == [1] * 6
    (place,) = [i for i, one in enumerate(knobs.model.blocks) if one == slice(3, 4)]
    other = z.clone()
    other[:, knobs.model.blocks[place]] *= -1
    of_scale, of_point = Sampling(0.0, scale=(2, 4, 5, 7, 9, 11, 0)), Sampling(0.0)
    for sampling, is_same in ((of_scale, True), (of_point, False)):
        drawn = [knobs.model.decode(points, sampling) for points in (z, other)]
        assert torch.equal(*drawn) is is_same


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (("D-doria",), "nearest are D-dorian"),
        ((None, "60..40"), "the lower bound first"),
        (
            (None, None, "ambitus:wide"),
            "semitones must be a whole number from 0 to 127, got 'wide'",
        ),
        (("D-dorian", None, "scale:D-dorian"), "each rule may be given once"),
        ((None, 40, "density:40"), "each rule may be given once"),
    ],
)
def test_what_is_no_knob_is_refused(knobs, setting, message):
    with pytest.raises(UsageError, match=message):
        knobs.at(*setting)


def test_a_model_without_a_staff_draws_in_no_scale():
    with pytest.raises(UsageError, match="draws in no form, scale or rhythm"):
        searching_actor(load_model("bundled")).generate(1, scale=(0, 2, 4))
    with pytest.raises(UsageError, match="scale must be different pitch classes, 0 to 11"):
        Sampling(scale=(0, 0, 12))


def test_any_other_rule_is_searched_for(knobs):
    """A function, and a rule that none of 2,048 of the prior's melodies satisfies."""

    def ends_high(melody):
        return (melody.pitches <= melody.pitches[-1]).mean() ** 2 if len(melody) else 0.0

    told = []
    actor = knobs.at("C-major", None, "final-note:C7", ends_high)
    actor.search = EvolutionSearch(fresh=4, batch=48, first_batch=48)
    actor.callback = lambda *counts: told.append(counts)
    melodies = actor.generate(1, seed=3)
    assert [melody.pitches[-1] for melody in melodies] == [96]
    assert all(melody.pitches[-1] == melody.pitches.max() for melody in melodies)
    assert told[-1][0] >= 1
    assert told[-1][1] > told[0][1] == 16  # of which five are evolved, four to spare
    again, drawn = actor.generate_satisfying(1, seed=3)  # draws more for typical ones
    assert satisfies_all(actor.rules, again).all()
    assert drawn == told[-1][1]


def test_a_melody_is_taken_in_the_key_that_the_rules_reward_most(knobs):
    """Whatever it ends on, in one of twelve keys that is C: none is searched for."""
    told = []
    actor = replace(knobs.at(None, None, "final-note:C"), prefers=None)
    actor.callback = lambda *counts: told.append(counts)
    z = torch.randn(8, actor.model.latent_dim, generator=torch.Generator().manual_seed(1))
    sampling = actor.sampling({"seed": 1})
    points, melodies = actor.draw_from(z, sampling, torch.Generator())
    assert told == [(8, 8)]
    assert [int(melody.pitches[-1]) % 12 for melody in melodies] == [0] * 8
    _, own = replace(actor, transpose=None, search=replace(actor.search, draws=1)).draw_from(
        z, sampling, torch.Generator()
    )
    shifts = [
        int(melody.pitches[-1]) - int(one.pitches[-1])
        for melody, one in zip(melodies, own, strict=True)
    ]
    assert max(map(abs, shifts)) <= 6
    assert len(set(shifts)) > 2
    assert np.array_equal(melodies.events, transposed(own.events, shifts)[0])
    assert np.array_equal(actor.model.head(points).keys, (actor.model.head(z).keys + shifts) % 12)


def test_a_melody_keeps_its_key_where_that_is_asked_for_or_makes_no_difference(knobs):
    free = knobs.at(None, None, "max-leap:12", "density:20..200")
    for actor in (free, replace(free, transpose=None)):
        found = actor.generate(4, seed=6)
        assert satisfies_all(actor.rules, found).all()
    assert np.array_equal(found.events, free.generate(4, seed=6).events)
    assert knobs.at("D-dorian", None, "final-note:D").transpose is None
    melodies = knobs.at(None, None, "final-note:C").generate(
        2, seed=6, scale=(0, 2, 4, 5, 7, 9, 11)
    )
    assert set(melodies.notes.pitches % 12) <= {0, 2, 4, 5, 7, 9, 11}


def test_users_functions_are_not_asked_in_every_key(knobs):
    asked = []

    def any_note(melody):
        asked.append(melody)
        return 1.0

    drawn = []
    for rules in ([any_note], [all_of([any_note, "final-note:C"])], [any_note, "final-note:C"]):
        asked.clear()
        actor = knobs.at(None, None, *rules)
        actor.callback = lambda _, count: drawn.append(count)
        actor.generate(1, seed=5)
        assert len(asked) == drawn[-1]


def test_a_rule_that_wants_a_drone_gets_it(knobs):
    """None of it is typical; a search without the preference finds as many."""

    def repeats(melody):
        return (
            min(1.0, float(np.mean(np.diff(melody.pitches) == 0)) / 0.7) if len(melody) > 1 else 0
        )

    actor = knobs.at(None, None, repeats)
    found = actor.generate(3, seed=2)
    assert satisfies_all(actor.rules, found).all()
    assert (typicality(found) < 1).all()


def test_of_melodies_that_satisfy_a_rule_typical_ones_are_preferred(knobs):
    """The same search, which goes on for a while; under no rule there is nothing to prefer."""
    actor = knobs.at("A-blues")
    plain = replace(actor, prefers=None).generate(6, seed=2)
    preferred = actor.generate(6, seed=2)
    assert satisfies_all(actor.rules, preferred).all()
    assert (typicality(preferred) == 1).sum() > (typicality(plain) == 1).sum()
    free = knobs.at()
    same = replace(free, prefers=None).generate(2, seed=2)
    assert np.array_equal(free.generate(2, seed=2).events, same.events)


@pytest.mark.parametrize(
    ("spec", "scale"),
    [
        ("cmajor", (0, 2, 4, 5, 7, 9, 11)),
        ("scale:D-dorian", (2, 4, 5, 7, 9, 11, 0)),
        ("pitch-classes:G,C", (7, 0)),
        ("not:cmajor", ()),
        ("final-note:C", ()),
    ],
)
def test_a_rule_of_a_scale_is_one_in_which_the_staff_is_read(knobs, spec, scale):
    assert knobs.at(None, None, spec).scale == scale
    assert knobs.at("C-major", None, spec).scale == (0, 2, 4, 5, 7, 9, 11)


def test_what_no_melody_satisfies_ends_the_search(knobs):
    """No offspring is better than its parent: they are drawn until none is left to draw."""
    actor = knobs.at(None, None, lambda melody: 0.0)
    actor.search = EvolutionSearch(draws=50, fresh=20, patience=20, batch=100, first_batch=100)
    told = []
    actor.callback = lambda *counts: told.append(counts)
    assert len(actor.generate(1, seed=1)) == 1
    assert told[-1] == (0, 16 + 30)  # of 50 for the one that is wanted; 6 for each of five
    with pytest.raises(TrainingError, match="0 of 1 melodies satisfy every rule after 116 were"):
        actor.generate_satisfying(1, max_draws=1000, seed=1)  # a batch in vain


def test_every_dimension_is_in_one_block(knobs):
    for model in (knobs.model, load_model("bundled")):
        dimensions = [range(model.latent_dim)[block] for block in model.blocks]
        assert [number for block in dimensions for number in block] == [*range(model.latent_dim)]


def test_each_knob_is_an_attribute():
    assert {knob.attribute for knob in KNOBS.values()} <= set(NAMES)


def test_satisfying_melodies_are_searched_for_longer(tiny_model):
    """A yes or no that few satisfy: a plain search gives up, since nothing comes nearer."""

    def is_rare(melody):
        return float(len(melody) > 1 and melody.pitches[0] % 12 == 1 and len(melody) % 7 == 3)

    actor = searching_actor(tiny_model, [is_rare])
    for patience in (1, 100):
        actor.search = EvolutionSearch(fresh=1, patience=patience, batch=128, first_batch=5)
        melodies, drawn = actor.generate_satisfying(1, max_draws=30_000, seed=1)
        assert is_rare(melodies[0]) == 1
        assert drawn > 10  # the five at first and as many in vain, if not more
    actor.search = EvolutionSearch(fresh=1, patience=1, batch=5, first_batch=5)
    assert is_rare(actor.generate(1, seed=1)[0]) == 0


def test_what_a_search_refuses(knobs, tmp_path):
    actor = knobs.at("D-dorian")
    with pytest.raises(UsageError, match="n must be at least 1, got 0"):
        actor.generate_satisfying(0)
    with pytest.raises(UsageError, match="a search has learned nothing to save"):
        actor.save(tmp_path)
    assert repr(actor).startswith("SearchActor(scale:D-dorian; ")


def test_knobs_of_another_model_go_with_a_search():
    knobs = load_knobs(model=load_model("bundled"))
    actor = knobs.at("D-dorian", "30..250", "final-note:A")
    assert actor.names == ["pitch-classes:2,4,5,7,9,11,0", "final-note:A", "density:30..250"]
    assert actor.generate(1, seed=1)[0].pitches[-1] % 12 == 9


def test_a_users_function_is_no_knob_whatever_its_name(knobs):
    def rests(melody):
        return 1.0

    actor = knobs.at(None, None, rests)
    assert actor.actor.ranges == {}
    assert len(actor.generate(1, seed=1)) == 1


def test_melodies_are_like_examples_without_a_training(knobs):
    """Of few long notes, in one key: what is drawn has few and long notes, mostly in it."""
    line = [(16 * bar, 16, 62 + (0, 2, 4, 5, 7, 9, 11)[bar * 3 % 7]) for bar in range(16)]
    examples = Melodies.stack([Melody.from_notes(line)] * 30)
    drawn, prior = (generate(knobs.model, 32, like=like, seed=1) for like in (examples, None))
    lengths = [np.mean([len(melody) for melody in some]) for some in (drawn, prior)]
    assert lengths[0] < 0.6 * lengths[1]
    inside = [
        np.isin(np.concatenate([melody.pitches for melody in some]) % 12, examples[0].pitches % 12)
        for some in (drawn, prior)
    ]
    assert inside[0].mean() > 0.9 > 0.75 > inside[1].mean()


def test_examples_go_with_a_scale_and_rules(knobs, prior):
    actor = knobs.at("A-blues", "30..50", "ambitus:10..14", like=prior)
    for melody in actor.generate(4, seed=1):
        assert set((melody.pitches % 12).tolist()) <= {9, 0, 2, 3, 4, 7}
        assert 30 <= len(melody) <= 50


def test_points_like_examples_decode_to_the_melodies_in_their_keys(knobs, prior):
    actor = knobs.at(None, None, "final-note:C", like=prior)
    z = torch.randn(4, actor.model.latent_dim, generator=torch.Generator().manual_seed(2))
    sampling = actor.sampling({"temperature": 0.0})
    points, melodies = actor.draw_from(z, sampling, torch.Generator())
    assert np.array_equal(actor.model.decode(points, sampling).numpy(), melodies.events)
    assert [int(melody.pitches[-1]) % 12 for melody in melodies] == [0] * 4


def test_no_example_is_refused(knobs, prior):
    with pytest.raises(UsageError, match="give at least one melody that others should be like"):
        knobs.at(like=prior[:0])


def test_under_a_scale_melodies_that_end_on_its_tonic_come_first(knobs):
    drawn = knobs.at("D-dorian").generate(4, seed=2)
    assert [melody.pitches[-1] % 12 for melody in drawn] == 4 * [2]
    assert (typicality(drawn) == 1).all()
    assert knobs.at("0,2,4,7").prefers is typicality


def test_of_two_typical_melodies_the_one_that_closes_on_the_tonic_is_preferred():
    tune = [(4 * i, 4, 62 + pitch) for i, pitch in enumerate([0, 2, 3, 5, 7, 5, 3, 2] * 5)]
    open_end, closed, late = (
        Melody.from_notes([*tune, one]) for one in ((160, 4, 64), (160, 4, 62), (162, 2, 62))
    )
    drone = Melody.from_notes([(4 * i, 4, 62) for i in range(64)])
    prefers = preference(2, D_DORIAN, find_rules(["scale:D-dorian"]))
    values = prefers(Melodies.stack([drone, open_end, late, closed]))
    assert np.array_equal(values.argsort(), range(4))
    assert values[0] < 1 < values[1]


def test_of_two_melodies_that_close_the_one_that_rests_on_the_tonic_is_preferred():
    """Quarters up and down, 40 of them, and the tonic; of the other one thirds sound longer."""
    prefers = preference(2, D_DORIAN, find_rules(["scale:D-dorian"]))
    degrees = [0, 4, 0, 2, 0, 1, 4, 3] * 5
    on_tonic, on_third = (
        Melody.from_notes(
            [
                *(
                    (4 * i, 4, 62 + [0, 2, 3, 5, 7][(one + up) % 5])
                    for i, one in enumerate(degrees)
                ),
                (160, 4, 62),
            ]
        )
        for up in (0, 2)
    )
    of_tonic, of_third = prefers(Melodies.stack([on_tonic, on_third]))
    assert of_tonic > of_third > 1


@pytest.mark.parametrize("scale", [(), (0, 2, 4, 7, 9)])
def test_where_the_scale_has_another_tonic_or_none_only_the_last_note_counts(scale):
    """Two melodies that end on D weigh degrees otherwise; a third ends on E."""
    tunes = ([62, 66, 69, 64], [67, 71, 64, 66], [62, 66, 69, 64])
    ends = 62, 62, 64
    melodies = Melodies.stack(
        [
            Melody.from_notes([*((4 * i, 4, one) for i, one in enumerate(5 * tune)), (80, 4, end)])
            for tune, end in zip(tunes, ends, strict=True)
        ]
    )
    first, second, open_end = preference(2, scale, find_rules(["cadence:D-dorian"]))(melodies)
    assert first == second > open_end >= 1


def test_few_notes_are_typical_only_where_a_rule_is_about_their_number():
    few = Melodies.stack(
        [Melody.from_notes([(8 * i, 8, 62 + up) for i, up in enumerate([0, 2, 3, 7] * 7)])]
    )
    free = preference(2, D_DORIAN, find_rules(["scale:D-dorian"]))(few)
    sparse = preference(2, D_DORIAN, find_rules(["scale:D-dorian", "density:20..30"]))(few)
    assert free < 1 < sparse


def test_in_a_scale_four_melodies_are_drawn_at_first_for_each_that_is_wanted(knobs, monkeypatch):
    monkeypatch.undo()  # of few draws
    assert knobs.at("D-dorian").points_for(4) == 64
    assert knobs.at("D-dorian").points_for(100) == 400
    assert knobs.at("0,2,4,7").points_for(100) == 125
