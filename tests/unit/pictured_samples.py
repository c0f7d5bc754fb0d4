"""Samples of pictures in memory, as a method sees them."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PicturedSample", "PicturedSamples", "inside", "pictured", "right_half"]


Mask = Callable[[tuple[int, int]], NDArray[np.bool_]]
"""Foreground [h, w] of every picture, by its grid."""


def inside(grid: tuple[int, int]) -> NDArray[np.bool_]:
    """Everything but a border of an eighth."""
    mask, edge = np.zeros(grid, bool), grid[0] // 8
    mask[edge:-edge, edge:-edge] = True
    return mask


def right_half(grid: tuple[int, int]) -> NDArray[np.bool_]:
    """The right half."""
    mask = np.zeros(grid, bool)
    mask[:, grid[1] // 2 :] = True
    return mask


@dataclass(frozen=True)
class PicturedSample:
    """One sample; see :class:`multiflow.methods.contract.Sample`."""

    key: str
    images: NDArray[np.uint8]
    shown: Mask = inside

    def foreground(self, grid: tuple[int, int]) -> NDArray[np.bool_]:
        """Foreground [V, h, w]."""
        return np.stack([self.shown(grid)] * len(self.images))


@dataclass(frozen=True)
class PicturedSamples:
    """The samples of a class; see :class:`multiflow.methods.contract.Samples`."""

    values: NDArray[np.uint8]
    class_name: str = "part"
    shown: Mask = inside

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the views."""
        return tuple(f"C{view + 1}" for view in range(self.values.shape[1]))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> PicturedSample:
        return PicturedSample(f"part_{index}", self.values[index], self.shown)

    def __iter__(self) -> Iterator[PicturedSample]:
        return (self[index] for index in range(len(self)))

    def pictures(self, order: Sequence[tuple[int, int]]) -> Generator[NDArray[np.uint8], None, None]:
        """Single pictures."""
        yield from (self.values[sample, view] for sample, view in order)


def pictured(count: int = 4, views: int = 2, size: int = 64, seed: int = 0) -> Any:
    """Grey stripes of slightly different phase."""
    random = np.random.default_rng(seed)
    phase = random.uniform(0, 0.5, (count, views, 1, 1, 3))
    stripes = (
        128
        + 80 * np.sin(0.4 * np.arange(size)[:, None, None] + phase)
        + random.normal(0, 4, (count, views, size, size, 3))
    )
    return PicturedSamples(stripes.clip(0, 255).astype(np.uint8))
