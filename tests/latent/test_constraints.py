"""Constraints as examples for a critic: who is in them, and what is said of whom."""

import math

import pytest
import torch

from melodyconstraints.errors import TrainingError, UsageError
from melodyconstraints.latent.constraints import (
    AttributeConstraint,
    Encodings,
    RealismConstraint,
    RewardConstraint,
    Rewards,
    checked_weights,
)

LABELS = torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])


def share(z):
    """A coordinate as a reward."""
    return z[:, 0].clamp(0, 1)


# Rewards


def test_rewards_are_columns_whatever_is_asked():
    def inverse(z):
        return 1 - z.numpy()[:, 0]

    rewards = Rewards([share, inverse])
    z = torch.tensor([[0.25, 9.0], [1.0, 9.0]])
    measured = rewards.measure(z)
    assert measured.tolist() == [[0.25, 0.75], [1.0, 0.0]]
    assert measured.dtype == torch.float32
    assert rewards.compute(measured, None) is rewards.compute(measured, z) is measured


def test_rewards_are_named_by_their_name_or_their_place():
    def named(z):
        return share(z)

    named.name = "half"
    assert Rewards([share, named]).names == ("1 of 2", "half")


def test_rewards_without_any_are_refused():
    with pytest.raises(UsageError, match="give at least one reward"):
        Rewards([])


@pytest.fixture
def rewarded(plane):
    """A constraint on the plane, by a judge."""

    def make(judge=None, **options):
        return RewardConstraint(plane, judge or Rewards([share]), **options)

    return make


def test_what_is_observed_is_rewarded_and_remembered(rewarded):
    constraint = rewarded()
    shifted, prior = torch.tensor([[0.5, 1.0], [2.0, 1.0]]), torch.tensor([[-1.0, 3.0]])
    assert constraint.observe(shifted, prior, None).tolist() == [[0.5], [1.0]]
    assert torch.equal(constraint.points, torch.cat([shifted, prior]))
    assert constraint.measured.tolist() == [[0.5], [1.0], [0.0]]
    assert constraint.decoded == 3
    assert not constraint.conditional


def test_examples_are_what_was_observed(rewarded, seeded):
    constraint = rewarded()
    constraint.observe(torch.rand(5, 2), torch.rand(3, 2), None)
    points, y, targets = constraint.examples(200, seeded())
    assert y is None
    assert {tuple(z) for z in points.tolist()} == {tuple(z) for z in constraint.points.tolist()}
    assert torch.equal(targets[:, 0], share(points))


@pytest.mark.parametrize("count", [8, 11, 3])
def test_without_a_replay_examples_are_what_was_decoded(rewarded, disc_around_y, seeded, count):
    constraint = rewarded(disc_around_y, conditions=count_up, replay_size=0)
    z = torch.arange(8.0)[:, None].expand(8, 2)
    constraint.observe(z[:5], z[5:], -z[:5])
    points, y, _ = constraint.examples(count, seeded())
    often = points[:, 0].long().bincount(minlength=8)
    assert set(often.tolist()) <= {count // 8, -(-count // 8)}  # each once before any again
    assert torch.equal(y, -(points % 5))  # what was asked of each, and nothing new


def test_examples_before_anything_was_observed_are_refused(rewarded, seeded):
    with pytest.raises(UsageError, match="gives examples of observed points; call observe first"):
        rewarded().examples(4, seeded())


def test_targets_are_sharpened_by_what_was_satisfied(rewarded, seeded):
    constraint = rewarded(Rewards([share, lambda z: z[:, 1]]), sharpness=0.5)
    constraint.satisfied = torch.tensor([1.0, 0.2])
    # a half, and a tenth, of what is not satisfied is taken off
    z = torch.tensor([[0.8, 0.8]])
    constraint.keep(z, constraint.measure(z), None)
    assert constraint.examples(1, seeded()).targets[0].tolist() == pytest.approx([0.4, 0.72])
    ones = torch.ones(1, 2)
    constraint.replay_size = 0
    constraint.keep(ones, constraint.measure(ones), None)
    assert constraint.examples(1, seeded()).targets.tolist() == [[1.0, 1.0]]


def count_up(n, generator):
    """Conditions that tell which of them they are."""
    return torch.arange(100.0, 100 + n)[:, None].expand(n, 2)


def test_points_of_the_prior_are_asked_what_the_actor_was_asked(rewarded, disc_around_y):
    constraint = rewarded(disc_around_y, conditions=count_up)
    assert constraint.conditional
    y = torch.tensor([[1.0, 1.0], [5.0, 5.0]])
    rewards = constraint.observe(torch.ones(2, 2), torch.zeros(3, 2), y)
    assert rewards[0].item() == 1.0
    assert rewards[1].item() == pytest.approx(torch.tensor(0.5 - 32**0.5).exp().item())
    assert constraint.y[:, 0].tolist() == [1, 5, 1, 5, 1]


def test_half_of_the_examples_are_judged_under_new_conditions(rewarded, disc_around_y, seeded):
    constraint = rewarded(disc_around_y, conditions=count_up)
    z, asked = torch.randn(6, 2), torch.randn(6, 2)
    constraint.keep(z, z, asked)
    points, y, targets = constraint.examples(10, seeded())
    assert torch.equal(y[::2], count_up(5, None))
    for point, condition in zip(points[1::2], y[1::2], strict=True):
        (row,) = (z == point).all(-1).nonzero()[0].tolist()
        assert torch.equal(condition, asked[row])
    assert torch.equal(targets, disc_around_y.compute(points, y))
    assert torch.equal(constraint.y, asked)  # what was asked stays what it was


def test_a_bank_is_judged_under_conditions_of_its_own(rewarded, disc_around_y, seeded):
    constraint = rewarded(disc_around_y, conditions=lambda n, generator: torch.zeros(n, 2))
    z = torch.randn(20, 2)
    constraint.warm_up(z, z, seeded())
    assert torch.equal(constraint.y, torch.zeros(20, 2))
    message = "reward near y is 0.607 for all 20 samples of the prior: there is nothing to learn"
    same = torch.tensor([[1.0, 0.0]]).expand(20, 2)
    with pytest.raises(TrainingError, match=message):
        constraint.warm_up(same, same, seeded())


@pytest.mark.parametrize(
    ("replay_size", "expected"), [(3, [0, 1, 2, 3, 4]), (0, [3, 4]), (9, None)]
)
def test_the_newest_are_remembered_together(rewarded, replay_size, expected):
    constraint = rewarded(replay_size=replay_size)
    numbers = torch.arange(5.0)[:, None].expand(5, 2)
    for part in (numbers[:3], numbers[3:]):
        constraint.keep(part, 10 * part, 100 * part)
    found = torch.tensor(expected or [0, 1, 2, 3, 4]).float()
    assert torch.equal(constraint.points[:, 0], found)
    assert torch.equal(constraint.measured[:, 0], 10 * found)
    assert torch.equal(constraint.y[:, 0], 100 * found)


@pytest.mark.parametrize(
    "weights", [[1.0], [1.0, -0.5], [1.0, 1.0, 1.0], [1.0, math.nan], [math.inf, 1.0]]
)
def test_weights_that_do_not_fit_the_rewards_are_refused(rewarded, weights):
    judge = Rewards([share, share])
    assert rewarded(judge).weights == (1.0, 1.0)
    assert rewarded(judge, weights=[2.0, 0.0]).weights == (2.0, 0.0)
    shown = str(weights).replace("[", r"\[").replace("]", r"\]")
    message = f"give a weight of at least 0 for each of 1 of 2, 2 of 2, got {shown}"
    with pytest.raises(UsageError, match=message):
        rewarded(judge, weights=weights)


# Encodings


def test_points_are_drawn_from_their_posteriors(seeded):
    # 5 standard errors of 20000 draws
    encodings = Encodings(torch.tensor([[3.0, -1.0]]), torch.tensor([[0.5, 2.0]]))
    points, labels = encodings.draw(20_000, seeded())
    assert points.mean(0).tolist() == pytest.approx([3.0, -1.0], abs=5 * 2 / 20_000**0.5)
    assert points.std(0).tolist() == pytest.approx([0.5, 2.0], rel=5 / 40_000**0.5)
    assert labels.shape == (20_000, 0)


def test_samples_are_drawn_as_they_are_and_with_their_labels(seeded):
    means = torch.arange(8.0).reshape(4, 2)
    points, labels = Encodings(means, labels=LABELS).draw(100, seeded())
    rows = (points[:, 0] / 2).long()
    assert set(rows.tolist()) == {0, 1, 2, 3}
    assert torch.equal(points, means[rows])
    assert torch.equal(labels, LABELS[rows])


def test_encodings_are_drawn_in_proportion_to_their_shares(seeded):
    means = torch.arange(4.0)[:, None]
    points, _ = Encodings(means, shares=torch.tensor([0.0, 2.0, 1.0, 5.0])).draw(20_000, seeded())
    found = torch.bincount(points[:, 0].long(), minlength=4) / 20_000
    assert found[0] == 0
    # 5 standard errors of 20000 draws
    assert found.tolist() == pytest.approx([0, 0.25, 0.125, 0.625], abs=5 * 0.5 / 20_000**0.5)


@pytest.mark.parametrize("shares", [[1.0], [1.0, -0.1], [0.0, 0.0], [1.0, float("nan")]])
def test_shares_that_are_none_are_refused(shares):
    with pytest.raises(UsageError, match="give a share of at least 0 for each of 2 encodings"):
        Encodings(torch.zeros(2, 1), shares=torch.tensor(shares))


def test_no_encodings_are_refused():
    with pytest.raises(UsageError, match="give at least one encoding"):
        Encodings(torch.empty(0, 2))


# Attributes


@pytest.fixture
def labelled():
    """Four encodings, told apart by their first coordinate, and two labels of each."""
    return Encodings(torch.arange(8.0).reshape(4, 2), labels=LABELS)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, LABELS.tolist()),
        (torch.tensor([1.0, 0.0]), [[0, 0], [1, 0], [1, 1], [0, 1]]),
        (torch.tensor([0.0, 0.0]), [[1, 0], [0, 0], [0, 1], [1, 1]]),
    ],
)
def test_the_target_is_whether_an_attribute_is_as_wanted(labelled, seeded, wanted, expected):
    constraint = AttributeConstraint(labelled, ["a", "b"], wanted=wanted)
    points, y, targets = constraint.examples(50, seeded())
    assert y is None
    assert torch.equal(targets, torch.tensor(expected).float()[(points[:, 0] / 2).long()])
    assert constraint.names == ("a", "b")
    assert constraint.weights == (1.0, 1.0)
    assert not constraint.conditional


def test_attributes_are_not_measured(labelled):
    constraint = AttributeConstraint(labelled, ["a", "b"], weights=[0.5, 2.0])
    assert constraint.observe(torch.zeros(3, 2), torch.zeros(1, 2), None) is None
    assert constraint.weights == (0.5, 2.0)


@pytest.mark.parametrize(("labels", "found"), [(None, 0), (torch.eye(4)[:, :3], 3)])
def test_labels_that_do_not_fit_the_names_are_refused(labels, found):
    encodings = Encodings(torch.zeros(4, 2), labels=labels)
    with pytest.raises(UsageError, match=f"encodings need 2 labels each, found {found}"):
        AttributeConstraint(encodings, ["a", "b"])


def test_an_attribute_that_all_have_is_refused(labelled):
    labelled.labels = torch.tensor([[0.0, 1.0], [1.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    message = "attribute b is 1 in all 4 examples; a critic needs examples with and without it"
    with pytest.raises(UsageError, match=message):
        AttributeConstraint(labelled, ["a", "b"])


# Realism


def real(count=50, labels=None):
    """Encodings far to the right."""
    return Encodings(torch.full((count, 2), 100.0), torch.ones(count, 2), labels)


def test_before_the_actor_is_met_only_the_prior_is_told_from_the_real(seeded):
    points, y, targets = RealismConstraint(real()).examples(31, seeded())
    assert y is None
    assert targets[:, 0].tolist() == [1.0] * 16 + [0.0] * 15
    assert (points[:16] > 50).all()
    assert (points[16:].abs() < 50).all()


def test_one_negative_in_eleven_is_of_the_prior_and_the_others_are_the_actors(seeded):
    constraint = RealismConstraint(real())
    assert constraint.observe(torch.full((5, 2), -100.0), torch.zeros(3, 2), None) is None
    points, y, targets = constraint.examples(44, seeded())
    assert y is None
    assert targets[:, 0].tolist() == [1.0] * 22 + [0.0] * 22
    assert (points[:22] > 50).all()
    assert (points[22:24].abs() < 50).all()
    assert (points[24:] < -50).all()
    assert (constraint.names, constraint.weights) == (("realism",), (1.0,))
    assert not constraint.conditional


def test_with_labels_the_second_half_is_mislabelled_or_made(seeded):
    number = torch.arange(4.0)[:, None]
    constraint = RealismConstraint(Encodings(100 + number.expand(4, 2), labels=number))
    assert constraint.conditional
    asked = torch.tensor([[7.0], [8.0], [9.0]])
    constraint.observe(-asked.expand(3, 2), torch.zeros(2, 2), asked)
    points, y, targets = constraint.examples(44, seeded())
    own = points[:, :1] - 100
    assert torch.equal(y[:22], own[:22])
    assert targets[:22].min() == 1
    # Eleven under the labels of another: where those are equal, it is no negative.
    assert own[22:33].min() >= 0
    assert torch.equal(targets[22:33], (own[22:33] == y[22:33]).float())
    assert 0 < targets[22:33].sum() < 11
    # Eleven that were made: one of the prior under some label, ten of the actor as asked.
    assert targets[33:].max() == 0
    assert y[33].item() in (0, 1, 2, 3)
    assert points[33].abs().max() < 6
    assert torch.equal(y[34:], -points[34:, :1])


def test_equal_labels_among_the_shuffled_are_no_negatives(seeded):
    same = Encodings(torch.full((6, 2), 100.0), labels=torch.ones(6, 3))
    _, y, targets = RealismConstraint(same).examples(40, seeded())
    assert torch.equal(y, torch.ones(40, 3))
    assert targets[:, 0].tolist() == [1.0] * 30 + [0.0] * 10


@pytest.mark.parametrize(("replay_size", "expected"), [(3, [0, 1, 2, 3, 4]), (2, [1, 2, 3, 4])])
def test_the_actors_newest_points_are_remembered(replay_size, expected):
    constraint = RealismConstraint(real(labels=torch.zeros(50, 1)), replay_size=replay_size)
    numbers = torch.arange(5.0)[:, None].expand(5, 2)
    for part in (numbers[:3], numbers[3:]):
        constraint.observe(part, part, -part[:, :1])
    assert constraint.shifted[:, 0].tolist() == expected
    assert constraint.y[:, 0].tolist() == [-number for number in expected]


def test_without_memory_each_of_the_actors_points_is_a_negative_once(seeded):
    constraint = RealismConstraint(real(), replay_size=0)
    constraint.observe(1000 + torch.arange(30.0)[:, None].expand(30, 2), torch.zeros(3, 2), None)
    points, _, targets = constraint.examples(66, seeded())
    negatives = points[targets[:, 0] == 0]
    of_actor = negatives[negatives[:, 0] >= 1000]
    assert (len(negatives), len(of_actor)) == (33, 30)
    assert len(of_actor.unique(dim=0)) == 30


def test_without_the_labels_of_others_negatives_are_of_actor_and_prior(seeded):
    labels = torch.arange(50.0)[:, None]
    constraint = RealismConstraint(real(labels=labels), replay_size=0, mislabelled=False)
    constraint.observe(torch.full((30, 2), 1000.0), torch.zeros(3, 2), torch.full((30, 1), 7.0))
    points, y, targets = constraint.examples(66, seeded())
    assert targets[:, 0].tolist() == [1.0] * 33 + [0.0] * 33
    assert (points[targets[:, 0] == 0, 0] == 1000).sum() == 30
    assert (y[36:] == 7).all()


def test_weights_need_rules():
    with pytest.raises(UsageError, match=r"there is no rule to weigh, got the weights \[1.0\]"):
        checked_weights([1.0], [])
    assert checked_weights([], []) == checked_weights(None, []) == ()


def test_without_memory_only_the_last_meeting_counts():
    constraint = RealismConstraint(real(), replay_size=0)
    for number in (1.0, 2.0):
        constraint.observe(torch.full((3, 2), number), torch.zeros(1, 2), None)
    assert torch.equal(constraint.shifted, torch.full((3, 2), 2.0))


def test_a_negative_weight_is_refused():
    assert RealismConstraint(real(), weight=0.1).weights == (0.1,)
    message = r"give a weight of at least 0 for each of realism, got \[-1\.0\]"
    with pytest.raises(UsageError, match=message):
        RealismConstraint(real(), weight=-1.0)
