"""The scale of a level's scores, from the training set alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Calibration"]


@dataclass(frozen=True)
class Calibration:
    """Mean and standard deviation of a level's scores on normal parts, by view.

    Args:
        mean: [V].
        std: [V], positive.
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, maps: Tensor, foreground: Tensor) -> Calibration:
        """Of the training set's foreground.

        Args:
            maps: the training set's maps [N, V, H, W].
            foreground: [N, V, H, W].
        """
        everything = maps[foreground].double()
        found = [maps[:, view][foreground[:, view]].double() for view in range(maps.shape[1])]
        # A view without any foreground has no values of its own.
        by_view = [values if len(values) else everything for values in found]
        mean = torch.stack([values.mean() for values in by_view])
        std = torch.stack([values.std(correction=0) for values in by_view])
        return cls(mean.float(), torch.where(std <= 0, 1.0, std).float())

    def __call__(self, maps: Tensor) -> Tensor:
        """Standard scores of maps [V, H, W]."""
        return (maps - self.mean[:, None, None]) / self.std[:, None, None]
