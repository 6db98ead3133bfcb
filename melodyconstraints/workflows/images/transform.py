"""Identity-preserving transformation: other attributes, the same face (section 5).

From an image's own latent point the critics' gradient is followed until all attributes are as
wanted and the realism critic is content; each point stops by itself, so that it moves no further
than it must. An image that has its wanted attributes already is not moved.

Shapes: ``B`` images, ``Y`` labels of 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from melodyconstraints.errors import UsageError
from melodyconstraints.images.actor import ImageActor, default_search
from melodyconstraints.images.distances import pixel_distance
from melodyconstraints.latent.search import GradientSearch, reached, signed


@dataclass(frozen=True)
class Transformation:
    """Images before and after.

    Args:
        start, end: ``(B, Z)`` latent points.
        reconstructed, transformed: ``(B, C, H, W)`` images of them.
        reached: ``(B,)`` whether the critics are content with the end.
    """

    start: Tensor
    end: Tensor
    reconstructed: Tensor
    transformed: Tensor
    reached: Tensor

    def z_distance(self, sigma_bar: Tensor) -> Tensor:
        """``(B,)`` means over dimensions of the squared shift over the posterior's scale."""
        return ((self.end - self.start) / sigma_bar).square().mean(-1)

    def pixel_distance(self) -> Tensor:
        """``(B,)`` root mean squared differences of pixels between the images of both points."""
        return pixel_distance(self.transformed, self.reconstructed)


def transform(
    actor: ImageActor,
    images: Tensor,
    y: Tensor,
    *,
    steps: int | None = None,
    distance_weight: float | None = None,
) -> Transformation:
    """Move ``(B, C, H, W)`` images to labels ``(B, Y)``.

    With ``method="gradient"`` by a search that stops; with ``actor`` by the network, for
    comparison (Figure 10).

    Args:
        steps: of the search at most; 100 if not given.
        distance_weight: lambda_dist of the search.

    Raises:
        UsageError: an actor without labels, or a search's options for a network.
    """
    if not actor.names:
        raise UsageError("a transformation needs an actor of attributes; this one knows realism")
    start = actor.model.encode(images).mean
    return transform_points(actor, start, y, steps=steps, distance_weight=distance_weight)


def transform_points(
    actor: ImageActor,
    start: Tensor,
    y: Tensor,
    *,
    steps: int | None = None,
    distance_weight: float | None = None,
) -> Transformation:
    """The same from latent points ``(B, Z)``, of images or of the prior (Figure 9)."""
    search, y = None, y.to(start.device, start.dtype)
    if actor.actor is None:
        search = default_search(actor.method, len(actor.names))
        if steps is not None:
            search = replace(search, steps=steps)
        if distance_weight is not None:
            if not isinstance(search, GradientSearch):
                raise UsageError("a price on distance is for the method gradient")
            search = replace(search, distance_weight=distance_weight)
    elif (steps, distance_weight) != (None, None):
        raise UsageError("steps and a price on distance are a search's; a network has none")
    end = actor.shift(start, y, search=search)
    content = _content(actor, end, y)
    return Transformation(start, end, actor.model.decode(start), actor.model.decode(end), content)


@torch.no_grad()
def _content(actor: ImageActor, points: Tensor, y: Tensor) -> Tensor:
    """``(B,)`` whether the critics are content."""
    if actor.actor is not None:
        return actor.critic(points, y)[:, 0] > 0
    thresholds = default_search(actor.method, len(actor.names)).thresholds
    return reached(signed(actor.critic)(points, y), thresholds)[:, 0]
