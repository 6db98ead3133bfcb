"""Actor and critic: the gate's algebra, the condition, the paper's sizes."""

import math

import pytest
import torch

from melodyconstraints.latent.networks import (
    Actor,
    ConditionedActor,
    Critic,
    Critics,
    relu_layers,
)
from melodyconstraints.latent.settings import PRESETS

Z = torch.tensor([[1.0, -2.0, 3.0], [0.5, 0.0, -4.0]])
SHIFT = torch.tensor([10.0, 20.0, 30.0])


def actor_with(gate_logits):
    """An actor whose shift and gates are constants."""
    actor = Actor(3, hidden=())
    (last,) = actor.layers
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.cat([SHIFT, torch.tensor(gate_logits)]))
    return actor


def parameter_count(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_closed_gates_leave_the_point_where_it_is():
    assert torch.equal(actor_with([-1e4] * 3)(Z), Z)


def test_open_gates_put_the_shift_in_its_place():
    assert torch.equal(actor_with([1e4] * 3)(Z), SHIFT.expand(2, 3))


def test_gates_at_one_half_meet_in_the_middle():
    assert torch.equal(actor_with([0.0] * 3)(Z), (Z + SHIFT) / 2)


def test_every_dimension_has_a_gate_of_its_own():
    moved = actor_with([-1e4, 0.0, 1e4])(Z)
    assert torch.equal(moved, torch.tensor([[1.0, 9.0, 30.0], [0.5, 10.0, 30.0]]))


@pytest.mark.parametrize("bias", [-3.0, 0.0, 2.0])
def test_gates_begin_near_the_sigmoid_of_their_bias(bias):
    z = torch.randn(500, 8)
    actor = Actor(8, (64, 64), gate_bias=bias)
    gates = torch.sigmoid(actor.layers(z)[:, 8:])
    assert gates.mean().item() == pytest.approx(1 / (1 + math.exp(-bias)), abs=0.03)


def test_the_gates_bias_leaves_all_other_weights_as_they_are():
    torch.manual_seed(3)
    plain = Actor(4, (8,), 2, condition_units=3).state_dict()
    torch.manual_seed(3)
    biased = Actor(4, (8,), 2, condition_units=3, gate_bias=-1.5).state_dict()
    last = "layers.2.bias"
    torch.testing.assert_close(biased[last], plain[last] + torch.tensor([0.0] * 4 + [-1.5] * 4))
    assert all(torch.equal(biased[name], plain[name]) for name in plain if name != last)


def test_with_a_low_bias_the_actor_begins_near_the_identity():
    z = torch.randn(500, 8)

    def moved(bias):
        return (Actor(8, (64, 64), gate_bias=bias)(z) - z).norm(dim=-1).mean() / z.norm(
            dim=-1
        ).mean()

    # sigmoid(-3) is 0.047, sigmoid(-20) nothing
    assert 0.4 < moved(0.0) < 0.6
    assert 0.03 < moved(-3.0) < 0.06
    assert moved(-20.0) < 1e-7


def test_the_actors_sizes_are_the_papers():
    hidden = PRESETS["paper"].actor_hidden
    assert hidden == (2048, 2048, 2048, 2048)
    # 100 -> 2048, three times 2048 -> 2048, 2048 -> shift and gates, each with its biases
    expected = 101 * 2048 + 3 * 2049 * 2048 + 2049 * 200
    with torch.device("meta"):
        assert parameter_count(Actor(100, hidden)) == expected == 13_205_704


def test_the_critics_sizes_are_the_papers_for_any_number_of_heads():
    hidden = PRESETS["paper"].critic_hidden
    assert hidden == (2048, 2048, 2048, 2048)
    with torch.device("meta"):
        assert parameter_count(Critic(100, 1, hidden)) == 12_797_953
        assert parameter_count(Critic(100, 3, hidden)) == 12_797_953 + 2 * 2049


def test_the_condition_passes_a_linear_layer_of_its_own():
    # 10 labels -> 2048, then 100 + 2048 -> 7, then 7 -> 2 heads
    expected = 11 * 2048 + (2148 + 1) * 7 + 8 * 2
    with torch.device("meta"):
        assert parameter_count(Critic(100, 2, (7,), condition_dim=10)) == expected


@pytest.mark.parametrize(
    "build",
    [
        lambda: Actor(3, (4,), 2, condition_units=5),
        lambda: Critic(3, 1, (4,), 2, condition_units=5),
    ],
)
def test_the_condition_stands_behind_the_point(build):
    network = build()
    y = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    joined = network.inputs(Z, y)
    assert joined.shape == (2, 3 + 5)
    assert torch.equal(joined[:, :3], Z)
    mapped = y @ network.inputs.linear.weight.T + network.inputs.linear.bias
    torch.testing.assert_close(joined[:, 3:], mapped)
    assert not torch.equal(network(Z, y), network(Z, y.flip(0)))


def test_of_no_condition_units_the_condition_itself_stands_behind_the_point():
    critic, y = Critic(3, 1, (4,), 2, condition_units=0), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert torch.equal(critic.inputs(Z, y), torch.cat([Z, y], -1))
    assert torch.equal(Critics([critic])(Z, y), critic(Z, y))
    with torch.device("meta"):  # the replication report's actor: 1024 + 10 inputs
        actor = Actor(1024, (2048,), 10, condition_units=0)
        assert parameter_count(actor) == 1035 * 2048 + 2049 * 2048


@pytest.mark.parametrize("build", [lambda y: Actor(3, (4,), y), lambda y: Critic(3, 1, (4,), y)])
def test_a_condition_is_wanted_exactly_when_the_network_was_built_with_one(build):
    message = "give y exactly when the network was built with condition_dim > 0"
    with pytest.raises(ValueError, match=message):
        build(2)(Z)
    with pytest.raises(ValueError, match=message):
        build(0)(Z, torch.ones(2, 2))


def test_a_conditioned_actor_is_asked_for_one_thing():
    actor, y = Actor(3, (4,), 2, condition_units=5), torch.tensor([1.0, -2.0])
    assert torch.equal(ConditionedActor(actor, y)(Z), actor(Z, torch.stack([y, y])))


def test_critics_stand_side_by_side():
    first, second = Critic(3, 2, (4,)), Critic(3, 1, (4,))
    both = Critics([first, second])(Z)
    assert both.shape == (2, 3)
    assert torch.equal(both, torch.cat([first(Z), second(Z)], -1))


def test_of_critics_those_that_take_a_condition_are_given_it():
    asked, plain = Critic(3, 1, (4,), 2, condition_units=5), Critic(3, 2, (4,))
    critics, y = Critics([asked, plain]), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert torch.equal(critics(Z, y), torch.cat([asked(Z, y), plain(Z)], -1))
    with pytest.raises(ValueError, match="give y exactly when the network was built with"):
        critics(Z)


def test_critics_learn_and_are_saved_together():
    critics = Critics([Critic(3, 1, (4,)), Critic(3, 1, (4,))])
    critics(Z).sum().backward()
    assert all(parameter.grad is not None for parameter in critics.parameters())
    assert {name.split(".")[1] for name in critics.state_dict()} == {"0", "1"}


def test_layers_are_linear_with_a_relu_after_each_but_the_last():
    layers = relu_layers(2, (3, 1), 1)
    kinds = " ".join(type(layer).__name__ for layer in layers)
    assert kinds == "Linear ReLU Linear ReLU Linear"
    with torch.no_grad():
        for parameter in layers.parameters():
            parameter.fill_(-1.0)
        layers[0].weight.fill_(1.0)
    # 2 + 3 - 1 = 4 thrice; -12 - 1 is cut to 0; -0 - 1 = -1
    assert layers(torch.tensor([[2.0, 3.0]])).tolist() == [[-1.0]]


@pytest.mark.parametrize("network", [Actor(3, (5, 5)), Critic(3, 2, (5, 5))])
def test_every_weight_receives_a_gradient(network):
    network(torch.randn(64, 3)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())
