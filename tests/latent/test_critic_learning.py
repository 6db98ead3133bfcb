"""One step of critics, for trainings and fine-tuning alike."""

import torch

from melodyconstraints.latent import losses
from melodyconstraints.latent.constraints import Encodings, RealismConstraint
from melodyconstraints.latent.critic_learning import CriticLearner
from melodyconstraints.latent.networks import Critic, Critics


def learner(seeded, **options) -> CriticLearner:
    """Of a critic of realism, whose examples have the real ones in the first half."""
    torch.manual_seed(0)
    encodings = Encodings(5 + torch.randn(64, 2, generator=seeded(1)))
    critics = Critics([Critic(2, 1, (16,))])
    return CriticLearner(
        critics,
        [RealismConstraint(encodings)],
        seeded(),
        batch_size=64,
        learning_rate=1e-2,
        **options,
    )


def test_a_critic_learns_what_the_examples_show(seeded):
    found = learner(seeded)
    before = found.step()
    for _ in range(100):
        after = found.step()
    assert after < 0.1 < before


def test_the_gradient_penalty_is_taken_on_points_at_random(seeded, monkeypatch):
    seen = []
    plain = losses.gradient_penalty

    def recording(critic, first, second, **options):
        seen.append(first)
        return plain(critic, first, second, **options)

    monkeypatch.setattr(losses, "gradient_penalty", recording)
    found = learner(seeded, gradient_penalty=1.0, penalty_points=8)
    for _ in range(4):
        found.step()
    # The first 32 of 64 examples are real, near (5, 5). In order, all of the first 8 would be;
    # at random that happens in 2 steps of 1,000.
    shares = [(points > 2.5).all(-1).float().mean().item() for points in seen]
    assert [len(points) for points in seen] == [8] * 4
    assert all(0 < share < 1 for share in shares)
