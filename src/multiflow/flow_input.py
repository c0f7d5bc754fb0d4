"""What the flow sees of a class: scaled features and the foreground on their grid."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from multiflow import config
from multiflow.errors import InputError
from multiflow.foreground import foreground_on_grid
from multiflow.store import FeatureFile, ForegroundFile

__all__ = ["FlowInput", "Scaling", "open_input"]


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
    def fit(cls, features: FeatureFile, settings: config.Features) -> Scaling:
        """Scaling of a class: of its training set only, so that the test set decides nothing."""
        identity = cls.identity(features.channels)
        if settings.scaling == "none":
            return identity
        if settings.scaling == "constant":
            return cls(identity.mean, identity.std / settings.scale)
        std = torch.from_numpy(np.asarray(features.channel_std, dtype=np.float32))
        constant = std <= 0
        return cls(
            torch.from_numpy(np.asarray(features.channel_mean, dtype=np.float32)),
            torch.where(constant, 1.0, std),
        )

    def __call__(self, features: Tensor) -> Tensor:
        """Scale features [..., C, H, W]."""
        return (features - self.mean[:, None, None]) / self.std[:, None, None]


@dataclass(frozen=True)
class FlowInput:
    """One class's features and foreground, opened for reading.

    Args:
        features: the class's feature file.
        foreground: the class's foreground file; None where everything is foreground.
        to_grid: rule that brings a stored mask to the feature grid.
    """

    features: FeatureFile
    foreground: ForegroundFile | None
    to_grid: str

    def sample(self, split: str, index: int) -> tuple[Tensor, Tensor]:
        """Features [V, C, H, W] float32, unscaled, and foreground [V, H, W] bool of one sample."""
        features = torch.from_numpy(self.features.split(split).features(index))
        if self.foreground is None:
            return features, torch.ones(features.shape[0], *self.features.grid, dtype=torch.bool)
        mask = foreground_on_grid(self.foreground.split(split), index, self.features.grid, self.to_grid)
        return features, torch.from_numpy(mask.astype(bool))

    def load(self, split: str, scaling: Scaling) -> tuple[Tensor, Tensor]:
        """All samples of a split in memory: scaled features [N, V, C, H, W] float32, foreground [N, V, H, W] bool.

        Samples are read and scaled one after another, so the peak is the result and one sample.
        """
        count = len(self.features.split(split))
        views = len(self.features.cameras)
        features = torch.empty(count, views, self.features.channels, *self.features.grid)
        foreground = torch.empty(count, views, *self.features.grid, dtype=torch.bool)
        for index in range(count):
            sample, foreground[index] = self.sample(split, index)
            features[index] = scaling(sample)
        return features, foreground


def open_input(features: Path, foreground: Path | None, to_grid: str) -> FlowInput:
    """Open a class's features and foreground and check that they belong together.

    Raises:
        InputError: a file cannot be read, or the two hold different samples.
    """
    feature_file = FeatureFile(features)
    if foreground is None:
        return FlowInput(feature_file, None, to_grid)
    foreground_file = ForegroundFile(foreground)
    for split in ("train", "test"):
        if foreground_file.split(split).samples != feature_file.split(split).samples:
            raise InputError(
                f"{foreground}: {split}: expected the samples of {features}, found others; "
                "delete both files and run the workflow again"
            )
    return FlowInput(feature_file, foreground_file, to_grid)
