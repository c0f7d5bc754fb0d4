"""Weights and pictures by formula, as the golden data of CFLOW-AD and AD-CLSCNFs define them."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

__all__ = ["formula", "formula_images"]


def formula(name: str, shape: tuple[int, ...], gain: float) -> NDArray[np.float32]:
    """Weights by name."""
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if len(shape) >= 2:
        values = values * gain / np.sqrt(np.prod(shape[1:]))
    elif name.endswith("running_var"):
        values = np.exp(0.2 * values)
    elif name.endswith(("bias", "running_mean")):
        values = 0.1 * values
    else:
        values = 1 + 0.1 * values
    return values.astype(np.float32)


def formula_images(size: int, count: int = 1) -> NDArray[np.float64]:
    """Pictures [B, 3, S, S]."""
    row, column, channel = np.arange(size)[:, None], np.arange(size), np.arange(3)[:, None, None]
    entry = np.arange(count)[:, None, None, None]
    images: NDArray[np.float64] = np.sin(0.11 * row + 0.23 * (channel + 1) * column + entry) + 0.5 * np.cos(
        0.05 * row * column + channel + 2 * entry
    )
    return images
