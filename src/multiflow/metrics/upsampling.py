"""From the grid of an anomaly map to the size of the ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Pixels", "pixels", "upsample"]

# Below it the weight of the foreground is a rounding error of the interpolation.
_SMALLEST_WEIGHT = 1e-6


@dataclass(frozen=True)
class Pixels:
    """The scores of one sample at the size of the ground truth.

    Attributes:
        scores: [V, S, S]; where there is no score, any finite value.
        inside: [V, S, S], where there is a score; None where every pixel has one.
    """

    scores: NDArray[Any]
    inside: NDArray[np.bool_] | None = None

    @cached_property
    def ordered(self) -> NDArray[Any]:
        """All scores of the sample, ascending."""
        return np.sort(self.scores if self.inside is None else self.scores[self.inside], axis=None)

    def of_views(self, views: NDArray[np.bool_]) -> Pixels:
        """Those of some views [V]; all of them are this object."""
        if views.all():
            return self
        return Pixels(self.scores[views], None if self.inside is None else self.inside[views])


def pixels(maps: NDArray[np.float32], foreground: NDArray[np.bool_] | None, size: int) -> Pixels:
    """Bring the maps of a sample to the size of the ground truth.

    With a foreground, cells outside of it take no part in the interpolation: a pixel's score is the weighted mean of
    the foreground cells around it, and a pixel with none around it has no score.

    Args:
        maps: anomaly maps [V, h, w].
        foreground: [V, h, w]; None where the whole map counts.
        size: side of the ground truth, px.
    """
    import torch  # slow to import

    scores = torch.from_numpy(maps)
    if foreground is None:
        return Pixels(upsample(scores, size).numpy())
    mask = torch.from_numpy(foreground).to(scores.dtype)
    weight = upsample(mask, size)
    inside = weight > _SMALLEST_WEIGHT
    mean = upsample(scores * mask, size) / weight.where(inside, 1)
    return Pixels(mean.numpy(), inside.numpy())


def upsample(maps: Tensor, size: int) -> Tensor:
    """Anomaly maps ``[V, h, w]`` at ``[V, size, size]``: bilinear, corners not aligned.

    Raises:
        ValueError: the maps are not three-dimensional.
    """
    if maps.ndim != 3:
        raise ValueError(f"anomaly maps must be [views, rows, columns], found {tuple(maps.shape)}")
    if maps.shape[1:] == (size, size):
        return maps
    from torch.nn.functional import interpolate  # slow to import

    return interpolate(maps[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]
