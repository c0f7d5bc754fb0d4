"""Samples of random features in memory, as a method sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multiflow.methods.contract import FeatureShape

__all__ = ["MemorySample", "MemorySamples", "random_samples"]


@dataclass(frozen=True)
class MemorySample:
    """One sample; see :class:`multiflow.methods.contract.Sample`."""

    key: str
    values: NDArray[np.float32]
    mask: NDArray[np.bool_]

    @property
    def images(self) -> NDArray[np.uint8]:
        """There are none."""
        raise AssertionError("the method named no images in its needs")

    def features(self, name: str) -> NDArray[np.float32]:
        """Its features, whatever the set is called."""
        return self.values

    def foreground(self, grid: tuple[int, int]) -> NDArray[np.bool_]:
        """Its foreground, which is kept on the feature grid alone."""
        assert grid == self.mask.shape[1:]
        return self.mask


@dataclass(frozen=True)
class MemorySamples:
    """The samples of a class; see :class:`multiflow.methods.contract.Samples`."""

    values: NDArray[np.float32]
    masks: NDArray[np.bool_]
    class_name: str = "part"

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the views."""
        return tuple(f"C{view + 1}" for view in range(self.values.shape[1]))

    def feature_shape(self, name: str) -> FeatureShape:
        """Channels and grid of the features."""
        return FeatureShape(*self.values.shape[2:])

    def feature_statistics(self, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of every channel."""
        values = self.values.astype(np.float64)
        return values.mean(axis=(0, 1, 3, 4)), values.std(axis=(0, 1, 3, 4))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> MemorySample:
        return MemorySample(f"part_{index}", self.values[index], self.masks[index])

    def __iter__(self) -> Iterator[MemorySample]:
        return (self[index] for index in range(len(self)))


def random_samples(
    count: int = 6, views: int = 3, channels: int = 6, grid: tuple[int, int] = (4, 4), value: float = 0.0, seed: int = 0
) -> MemorySamples:
    """Normally distributed features around a value; the left half of every view is background."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(count, views, channels, *grid)).astype(np.float32) + np.float32(value)
    masks = np.ones((count, views, *grid), dtype=bool)
    masks[..., : grid[1] // 2] = False
    return MemorySamples(values, masks)
