"""From the feature grid to the size of the ground truth."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["upsample"]


def upsample(maps: Tensor, size: int) -> Tensor:
    """Anomaly maps ``[V, h, w]`` at ``[V, size, size]``: bilinear, corners not aligned.

    Raises:
        ValueError: the maps are not three-dimensional.
    """
    if maps.ndim != 3:
        raise ValueError(f"anomaly maps must be [views, rows, columns], found {tuple(maps.shape)}")
    from torch.nn.functional import interpolate  # the tables import this package and need no torch

    return interpolate(maps[:, None], size=(size, size), mode="bilinear", align_corners=False)[:, 0]
