# %% [markdown]
# # The core on your own model
#
# `melodyconstraints.latent` knows no music. It needs a decoder of points of N(0, I) and a reward in [0, 1] of what is
# decoded, and no gradient of either. First a model of two dimensions that decodes a point to itself.

# %%
import matplotlib.pyplot as plt
import numpy as np
import torch

from melodyconstraints.latent.settings import ActorCriticSettings
from melodyconstraints.latent.training import train_actor_critic


class Plane:
    latent_dim = 2
    sigma_bar = torch.ones(2)  # posterior scale, by which distances are divided

    def decode(self, z):
        return z.numpy()


def in_disc(samples):
    """1 within 0.5 of (1, 1), and less with the distance."""
    away = np.linalg.norm(samples - [1, 1], axis=1)
    return (1.5 - away).clip(0, 1)


# %% [markdown]
# A critic learns the reward from decoded points, an actor to move any point to where the critic predicts satisfaction.

# %%
settings = ActorCriticSettings(  # small, as the problem is; the defaults suit melodies
    actor_hidden=(32, 32),
    critic_hidden=(32, 32),
    gate_bias=0.0,
    bank=512,
    warmup_steps=100,
    rounds=30,
    critic_steps=10,
    learning_rate=3e-3,
    distance_weight=0.1,
    prior_weight=0.05,
    ema_decay=0.9,
    validation=64,
)
pair = train_actor_critic(Plane(), [in_disc], settings)
z = torch.randn(200, 2, generator=torch.Generator().manual_seed(7))
with torch.no_grad():
    moved = pair.require_actor()(z)
for name, points in ("prior", z), ("moved", moved):
    print(f"{name}: {np.mean(in_disc(points.numpy()) == 1):.0%} satisfied")

# %%
figure, axes = plt.subplots(figsize=(4, 4))
axes.plot(*torch.stack([z, moved], 1)[:60].permute(2, 1, 0), color="0.8", linewidth=0.7)
axes.scatter(*z.T, s=5, label="prior")
axes.scatter(*moved.T, s=5, label="moved")
axes.add_patch(plt.Circle((1, 1), 0.5, fill=False))
axes.set_aspect("equal")
axes.legend()
figure

# %% [markdown]
# ## Digits of scikit-learn
#
# Any generator with a normal latent space will do. Here it is a linear one, the principal components of 1,797 digits, and
# the reward comes from a classifier: how probable a seven is beside the most probable digit, which is 1 where it is a seven.

# %%
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

digits = load_digits()
components = PCA(16, whiten=True, random_state=0).fit(digits.data)
classifier = LogisticRegression(max_iter=200).fit(digits.data / 16, digits.target)


class LinearDigits:
    latent_dim = 16
    sigma_bar = torch.ones(16)

    def decode(self, z):
        return components.inverse_transform(z.numpy()).clip(0, 16)


def seven(pictures):
    chances = classifier.predict_proba(pictures / 16)
    return chances[:, 7] / chances.max(1)


# %% [markdown]
# No training this time: `EvolutionSearch` needs the rewards alone.

# %%
from melodyconstraints.latent.evolution import EvolutionSearch

model = LinearDigits()
random = torch.Generator().manual_seed(1)
start = torch.randn(10, 16, generator=random)
found = EvolutionSearch()(
    model.decode,
    lambda pictures: torch.from_numpy(seven(pictures))[:, None],
    start,
    [slice(i, i + 1) for i in range(16)],
    generator=random,
)
print(
    f"{found.drawn} pictures decoded; rewards {found.rewards.min():.2f} to {found.rewards.max():.2f}"
)

# %%
figure, axes = plt.subplots(2, 10, figsize=(8, 1.8))
for pictures, row in zip((model.decode(start), found.samples), axes, strict=True):
    for picture, cell in zip(pictures, row, strict=True):
        cell.imshow(np.reshape(picture, (8, 8)), cmap="gray_r")
        cell.axis("off")
figure

# %% [markdown]
# Above, points of the prior; below, the sevens that were found from them. The [mathematics](../mathematics.md) of both.
