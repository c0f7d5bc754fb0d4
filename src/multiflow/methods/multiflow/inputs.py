"""What the flow sees of a class: scaled features and the foreground on their grid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from multiflow.methods.contract import Samples
from multiflow.methods.multiflow.settings import Settings

__all__ = ["Scaling", "load_inputs"]


@dataclass(frozen=True)
class Scaling:
    """Affine scaling of the features, ``(x - mean) / std`` per channel. It travels with the trained flow.

    Args:
        mean: [C].
        std: [C], positive.
    """

    mean: Tensor
    std: Tensor

    @classmethod
    def identity(cls, channels: int) -> Scaling:
        """The features as they are."""
        return cls(torch.zeros(channels), torch.ones(channels))

    def is_identity(self) -> bool:
        """Whether the features stay as they are."""
        return bool((self.mean == 0).all() and (self.std == 1).all())

    @classmethod
    def fit(cls, samples: Samples, settings: Settings) -> Scaling:
        """Scaling of a class: of its training samples only, so that the test samples decide nothing."""
        identity = cls.identity(samples.feature_shape(settings.features).channels)
        if settings.scaling == "none":
            return identity
        if settings.scaling == "constant":
            return cls(identity.mean, identity.std / settings.scale)
        mean, std = (
            torch.from_numpy(np.asarray(values, dtype=np.float32))
            for values in samples.feature_statistics(settings.features)
        )
        return cls(mean, torch.where(std <= 0, 1.0, std))

    def __call__(self, features: Tensor) -> Tensor:
        """Scale features [..., C, H, W]."""
        return (features - self.mean[:, None, None]) / self.std[:, None, None]


def load_inputs(samples: Samples, features: str, transform: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
    """All samples in memory: what a flow sees [N, V, C, H, W] float32, and foreground [N, V, H, W] bool.

    Samples are read and transformed one after another, so the peak is the result and one sample.

    Args:
        samples: the training samples.
        features: name of their set of features.
        transform: what is made of a sample's features [V, C', H, W].
    """
    shape = samples.feature_shape(features)
    grid = shape.height, shape.width
    inputs = torch.empty(0)
    foreground = torch.empty(len(samples), len(samples.cameras), *grid, dtype=torch.bool)
    for index in range(len(samples)):
        sample = samples[index]
        values = transform(torch.from_numpy(sample.features(features)))
        if index == 0:
            inputs = torch.empty(len(samples), *values.shape)
        inputs[index] = values
        foreground[index] = torch.from_numpy(sample.foreground(grid))
    return inputs, foreground
