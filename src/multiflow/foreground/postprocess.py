"""From a raw segmentation to masks (paper section 3.4, details of the released code).

This runs for every sample of every training, so OpenCV does it: a view of 1024 px takes 1 ms, with SciPy it took 20.
OpenCV is imported where it is used, since most commands need no mask.
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from multiflow.foreground.settings import Foreground

__all__ = ["dilate", "fill_holes", "mask_on_grid", "process", "shrink"]

Mask: TypeAlias = NDArray[np.uint8]

_WEIGHT_ONE = 2048  # fixed-point unit of the bilinear rule
_OUTSIDE = 2  # neither background nor foreground


def process(raw: NDArray[np.bool_], settings: Foreground) -> Mask:
    """Masks of one sample: holes closed, dilated, and brought to ``foreground.mask_size``.

    Args:
        raw: segmentation [V, S, S].
        settings: the ``foreground`` block.

    Returns:
        Masks [V, m, m] of 0 and 1; a view in which no foreground was found is empty.
    """
    masks = np.empty((len(raw), settings.mask_size, settings.mask_size), np.uint8)
    for view, mask in enumerate(raw):
        filled = fill_holes(mask) if settings.fill_holes else mask
        masks[view] = shrink(dilate(filled, settings.dilation), settings.mask_size)
    return masks


def fill_holes(mask: NDArray[Any]) -> Mask:
    """Close the holes of a mask [S, S]: background that is not 4-connected to the border."""
    cv2 = _opencv()
    # A frame of background joins all that reaches the border, so that one flood finds it.
    framed = cv2.copyMakeBorder(_binary(mask), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    cv2.floodFill(framed, None, (0, 0), _OUTSIDE, flags=4)
    filled: Mask = (framed[1:-1, 1:-1] != _OUTSIDE).view(np.uint8)
    return filled


def dilate(mask: NDArray[Any], size: int) -> Mask:
    """Dilate a mask [S, S] with a square structure.

    A pixel p covers p - size // 2 to p + (size - 1) // 2 in both directions: p - 4 to p + 3 for a side of 8.

    Args:
        mask: the mask.
        size: side of the structure, px; 0 and 1 leave the mask as it is.
    """
    if size <= 1:
        return _binary(mask)
    anchor = (size - 1) // 2
    dilated: Mask = _opencv().dilate(_binary(mask), np.ones((size, size), np.uint8), anchor=(anchor, anchor))
    return dilated


def shrink(mask: NDArray[Any], size: int) -> Mask:
    """Nearest neighbour to [size, size]: pixel floor(i * S / size), so every fourth from 1024 to 256 px."""
    return mask_on_grid(mask, (size, size), "nearest")


def mask_on_grid(mask: NDArray[Any], grid: tuple[int, int], rule: str) -> Mask:
    """Bring masks to a grid.

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


def _binary(mask: NDArray[Any]) -> Mask:
    """A mask of any type as 0 and 1; booleans aren't copied."""
    source = np.ascontiguousarray(mask)
    return (source if source.dtype == np.bool_ else source != 0).view(np.uint8)


@functools.cache
def _opencv() -> ModuleType:
    import cv2

    # Its threads don't survive a fork, and a job's threads are those of `compute.threads`.
    cv2.setNumThreads(1)
    return cv2
