"""Smooth random fields: three-dimensional for shapes and stains, tileable two-dimensional for textures."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import map_coordinates

from rendered_parts.geometry import Array

__all__ = ["Noise3", "tile"]


class Noise3:
    """Periodic smooth noise in space, about standard normal, with lattice spacing 1.

    The lattice is up-sampled with cubic B-splines once; a look-up is then linear.
    """

    cells = 16
    fineness = 4

    def __init__(self, rng: np.random.Generator) -> None:
        grid = rng.standard_normal((self.cells,) * 3).astype(np.float32)
        position = np.arange(self.cells * self.fineness) / self.fineness
        cell = np.floor(position).astype(int)
        t = (position - cell).astype(np.float32)
        weights = (
            (1 - t) ** 3 / 6,
            (3 * t**3 - 6 * t**2 + 4) / 6,
            (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
            t**3 / 6,
        )
        for axis in range(3):
            shape = [1, 1, 1]
            shape[axis] = -1
            grid = sum(
                np.take(grid, (cell + offset) % self.cells, axis=axis) * weight.reshape(shape)
                for offset, weight in zip((-1, 0, 1, 2), weights, strict=True)
            )
        self.grid = np.pad(grid / (2.2 * grid.std()), ((0, 1),) * 3, mode="wrap")

    def __call__(self, points: Array, frequency: float = 1.0, octaves: int = 1) -> Array:
        """Values ``[n]`` at ``points [n, 3]``; each further octave has twice the frequency, half the size."""
        total = np.zeros(len(points))
        for octave in range(octaves):
            place = (points * (frequency * 2**octave) + 17.3 * octave) % self.cells * self.fineness
            total += 0.5**octave * map_coordinates(
                self.grid, place.T.astype(np.float32), order=1, mode="nearest", prefilter=False
            )
        return total / (2 - 0.5 ** (octaves - 1))


def tile(rng: np.random.Generator, size: int, low: float, high: float, stretch: float = 1.0) -> Array:
    """Tileable band-limited noise ``[size, size]``, standard deviation 1.

    Args:
        low, high: band in cycles per tile.
        stretch: above 1 draws the noise out into streaks along the first axis.
    """
    frequency = np.hypot(np.fft.fftfreq(size)[None] * size, np.fft.fftfreq(size)[:, None] * size * stretch)
    band = np.exp(-0.5 * (frequency / high) ** 2) * (1 - np.exp(-0.5 * (frequency / low) ** 2))
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((size, size))) * band).real
    return (field / field.std()).astype(np.float32)
