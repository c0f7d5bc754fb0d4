"""Level maps on one grid."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiflow.metrics.upsampling import pixels

__all__ = ["on_grid"]


def on_grid(maps: Tensor, foreground: NDArray[np.bool_], side: int) -> Tensor:
    """A level's maps at a finer resolution, bilinear.

    Cells of the background take no part: a flow never learned what is likely there. What has no foreground cell of the
    level around it gets 0, which is an average score of a calibrated map.

    Args:
        maps: [V, h, w].
        foreground: on the level's own grid [V, h, w].
        side: of the result.

    Returns:
        Maps [V, side, side].
    """
    found = pixels(maps.numpy(), foreground, side)
    return torch.from_numpy(found.scores if found.inside is None else np.where(found.inside, found.scores, 0))
