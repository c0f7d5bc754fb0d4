"""From a segmentation to the mask on the feature grid (paper section 3.4, details of the released code)."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

__all__ = ["dilate", "fill_holes", "mask_on_grid", "shrink"]

Mask: TypeAlias = NDArray[np.uint8]

_WEIGHT_ONE = 2048  # fixed-point unit of the bilinear rule


def fill_holes(mask: NDArray[Any]) -> Mask:
    """Close the holes of a mask [S, S]: background that is not 4-connected to the border."""
    filled: Mask = ndimage.binary_fill_holes(mask).astype(np.uint8)
    return filled


def dilate(mask: NDArray[Any], size: int) -> Mask:
    """Dilate a mask [S, S] with a square structure.

    A pixel p covers p - size // 2 to p + (size - 1) // 2 in both directions: p - 4 to p + 3 for a side of 8.

    Args:
        mask: the mask.
        size: side of the structure, px; 0 and 1 leave the mask as it is.
    """
    dilated: Mask = (np.asarray(mask) != 0).astype(np.uint8)
    if size > 1:
        origin = 0 if size % 2 else -1
        for axis in (0, 1):
            dilated = ndimage.maximum_filter1d(dilated, size, axis, mode="constant", cval=0, origin=origin)
    return dilated


def shrink(mask: NDArray[Any], size: int) -> Mask:
    """Nearest neighbour to [size, size]: pixel floor(i * S / size), so every fourth from 1024 to 256 px."""
    return mask_on_grid(mask, (size, size), "nearest")


def mask_on_grid(mask: NDArray[Any], grid: tuple[int, int], rule: str) -> Mask:
    """Bring masks to the feature grid.

    Args:
        mask: masks [..., S, S] of 0 and 1.
        grid: height h and width w of the feature maps.
        rule: ``nearest`` (the paper), or ``bilinear``: the interpolation in truncating fixed-point arithmetic
            that the released code gets from OpenCV by accident. It is not a rounded bilinear interpolation:
            0.5 can become 0.

    Returns:
        Masks [..., h, w] of 0 and 1.
    """
    source = np.asarray(mask)
    if rule == "nearest":
        rows, columns = (np.arange(n) * s // n for n, s in zip(grid, source.shape[-2:], strict=True))
        return source[..., rows[:, None], columns].astype(np.uint8)
    if rule != "bilinear":
        raise ValueError(f"rule {rule!r} is neither nearest nor bilinear")
    (top, bottom, upper, lower), (left, right, first, second) = (
        _taps(n, s) for n, s in zip(grid, source.shape[-2:], strict=True)
    )
    values = source.astype(np.int64)
    blended = first * values[..., left] + second * values[..., right]
    above = (upper[:, None] * (blended[..., top, :] >> 4)) >> 16
    below = (lower[:, None] * (blended[..., bottom, :] >> 4)) >> 16
    return ((above + below + 2) >> 2).astype(np.uint8)


def _taps(count: int, size: int) -> tuple[NDArray[np.int64], ...]:
    """The two source indices of each target index and their fixed-point weights."""
    position = (np.arange(count) + 0.5) * size / count - 0.5
    first = np.floor(position).astype(np.int64)
    fraction = np.where((first < 0) | (first >= size - 1), 0.0, position - first)
    first = first.clip(0, size - 1)
    weights = np.rint(_WEIGHT_ONE * (1 - fraction)), np.rint(_WEIGHT_ONE * fraction)
    return first, (first + 1).clip(max=size - 1), weights[0].astype(np.int64), weights[1].astype(np.int64)
