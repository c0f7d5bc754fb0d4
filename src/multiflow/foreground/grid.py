"""The stored foreground on the feature grid."""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from multiflow.foreground.postprocess import mask_on_grid
from multiflow.store import ForegroundSplit

__all__ = ["foreground_on_grid", "masks_on_grid"]

logger = logging.getLogger(__name__)


def foreground_on_grid(split: ForegroundSplit, index: int, grid: tuple[int, int], rule: str) -> NDArray[np.uint8]:
    """Foreground of one sample on the feature grid: :func:`masks_on_grid` of its stored masks.

    Args:
        split: the split of a foreground file.
        index: the sample.
        grid: height h and width w of the feature maps.
        rule: ``nearest`` or ``bilinear``.

    Returns:
        Masks [V, h, w] of 0 and 1.
    """
    return masks_on_grid(split.mask(index), lambda view: split.images[index][view], grid, rule, split.empty)


def masks_on_grid(
    stored: NDArray[np.uint8], name: Callable[[int], str], grid: tuple[int, int], rule: str, empty: str = "foreground"
) -> NDArray[np.uint8]:
    """Masks of one sample on the feature grid.

    A view whose foreground falls between the grid's sampling points would score 0 everywhere: everything counts as
    its foreground instead, unless ``empty`` says otherwise, and a warning names the image.

    Args:
        stored: masks [V, S, S].
        name: gives the name of a view's image, for the warning.
        grid: height h and width w of the feature maps.
        rule: ``nearest`` or ``bilinear``, see :func:`multiflow.foreground.postprocess.mask_on_grid`.
        empty: what such a view is, ``foreground`` or ``background``.

    Returns:
        Masks [V, h, w] of 0 and 1.
    """
    masks = mask_on_grid(stored, grid, rule)
    for view in np.flatnonzero(~masks.any(axis=(1, 2))):
        logger.warning(
            "%s: no foreground on the %d x %d feature grid; all of it counts as %s", name(int(view)), *grid, empty
        )
        masks[view] = empty == "foreground"
    return masks
