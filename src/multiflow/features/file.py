"""The features file: one named set of features of a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiflow.base.hdf5 import Hdf5File, Split

__all__ = ["FeatureFile", "FeatureSplit"]


class FeatureSplit(Split):
    """One split of a feature file."""

    def features(self, index: int) -> NDArray[np.float32]:
        """Features of one sample [V, C, H, W]."""
        return self._array("features", index).astype(np.float32, copy=False)


class FeatureFile(Hdf5File):
    """The features of one class, written by :func:`multiflow.features.extraction.extract_features`.

    Args:
        path: the file.

    Raises:
        InputError: at the first use, the file is missing, damaged or of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "features")

    @property
    def cameras(self) -> list[str]:
        """The views of a sample, in order."""
        return list(self.attribute("cameras"))

    @property
    def channels(self) -> int:
        """Channels C of the features."""
        return self.shape("train/features")[2]

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the feature maps."""
        height, width = self.shape("train/features")[3:]
        return height, width

    @property
    def channel_mean(self) -> NDArray[np.float64]:
        """Mean of every channel over the training set [C]."""
        return self.array("train/channel_mean")

    @property
    def channel_std(self) -> NDArray[np.float64]:
        """Standard deviation of every channel over the training set [C]; 0 where it never varies."""
        return self.array("train/channel_std")

    def split(self, name: str) -> FeatureSplit:
        """The split ``train`` or ``test``."""
        return FeatureSplit(self, name)
