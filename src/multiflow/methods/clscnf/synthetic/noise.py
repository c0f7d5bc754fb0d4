"""Perlin noise (Perlin, An image synthesizer, SIGGRAPH 1985), whose high values are the places of synthetic defects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["drawn_noise", "perlin_noise", "turned"]

Noise = NDArray[np.float64]

_FINEST = 5  # of the exponents of two that give the number of cells
_STEPS = 32  # to which a turned picture's places are rounded within a pixel, as OpenCV does


def drawn_noise(size: int, generator: np.random.Generator) -> Noise:
    """Noise [S, S] of 1 to 32 cells along each axis, turned by up to a right angle to either side.

    Args:
        size: S.
        generator: draws it.
    """
    rows, columns = (2 ** generator.integers(0, _FINEST, 2, endpoint=True)).tolist()
    angles = generator.uniform(0, 2 * np.pi, (rows + 1, columns + 1))
    return turned(perlin_noise(size, angles), float(generator.uniform(-90, 90)))


def perlin_noise(size: int, angles: NDArray[np.float64]) -> Noise:
    """Noise [S, S] from the directions of the gradients at the corners of its cells.

    Args:
        size: S.
        angles: radians [rows + 1, columns + 1]; zero points along rows.
    """
    (row, down), (column, right) = (_cells(size, corners - 1) for corners in angles.shape)
    cos, sin = np.cos(angles), np.sin(angles)

    def corner(below: int, beside: int) -> Noise:
        place = np.ix_(row + below, column + beside)
        return (down[:, None] - below) * cos[place] + (right - beside) * sin[place]

    fade_down, fade_right = _fade(down)[:, None], _fade(right)
    left = corner(0, 0) + fade_down * (corner(1, 0) - corner(0, 0))
    beside = corner(0, 1) + fade_down * (corner(1, 1) - corner(0, 1))
    return np.sqrt(2) * (left + fade_right * (beside - left))


def turned(values: Noise, degrees: float) -> Noise:
    """Values [S, S] turned about their centre, bilinearly; 0 comes in from outside.

    Args:
        values: of any range.
        degrees: the angle.
    """
    size, angle = len(values), np.deg2rad(degrees)
    centre, cos, sin = (size - 1) / 2, np.cos(angle), np.sin(angle)
    place = np.arange(size)
    x, y = place, place[:, None]
    column = _rounded(cos * x, sin * y + centre * (1 - cos - sin))
    row = _rounded(-sin * x, cos * y + centre * (1 + sin - cos))
    padded = np.pad(values, 2)
    up, left = (np.clip(axis // _STEPS + 2, 0, size + 2) for axis in (row, column))
    down, right = (axis % _STEPS / _STEPS for axis in (row, column))
    first = padded[up, left] + right * (padded[up, left + 1] - padded[up, left])
    second = padded[up + 1, left] + right * (padded[up + 1, left + 1] - padded[up + 1, left])
    return first + down * (second - first)


def _cells(size: int, count: int) -> tuple[NDArray[np.int64], Noise]:
    """The cell of every pixel of an axis, and how far it lies in it."""
    place = np.arange(size) * count / size
    cell = place.astype(np.int64)
    return cell, place - cell


def _fade(share: Noise) -> Noise:
    return share**3 * (6 * share**2 - 15 * share + 10)


def _rounded(of_column: Noise, of_row: Noise) -> NDArray[np.int64]:
    """Places in steps of 1/32 pixel, each part rounded to 1/1024 before."""
    total = np.rint(1024 * of_column).astype(np.int64) + np.rint(1024 * of_row).astype(np.int64)
    return (total + 16) >> 5
