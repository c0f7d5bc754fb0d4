"""From a raw segmentation to the foreground on a grid, by the rules of the `foreground` block."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from multiflow.foreground.postprocess import mask_on_grid, process
from multiflow.foreground.settings import Foreground

__all__ = ["masks_on_grid", "sample_foreground"]

logger = logging.getLogger(__name__)


def sample_foreground(
    raw: NDArray[np.bool_], names: Sequence[str], grid: tuple[int, int], settings: Foreground
) -> NDArray[np.bool_]:
    """Foreground of one sample on a grid.

    Args:
        raw: segmentation [V, S, S], as :meth:`multiflow.foreground.file.ForegroundSplit.segmentation` reads it.
        names: names of the V images, for warnings.
        grid: height h and width w.
        settings: the ``foreground`` block.

    Returns:
        Masks [V, h, w].
    """
    return masks_on_grid(process(raw, settings), names, grid, settings)


def masks_on_grid(
    masks: NDArray[np.uint8], names: Sequence[str], grid: tuple[int, int], settings: Foreground
) -> NDArray[np.bool_]:
    """Post-processed masks of one sample on a grid.

    A view without any foreground, or whose foreground falls between the grid's sampling points, would score 0
    everywhere and could hide a defect: everything counts as its foreground instead, unless ``foreground.empty`` says
    otherwise, and a warning names the image.

    Args:
        masks: from :func:`multiflow.foreground.postprocess.process`, [V, m, m].
        names: names of the V images, for warnings.
        grid: height h and width w.
        settings: the ``foreground`` block.

    Returns:
        Masks [V, h, w].
    """
    found = mask_on_grid(masks, grid, settings.to_grid).astype(bool)
    for view in np.flatnonzero(~found.any(axis=(1, 2))):
        place = f" on the {grid[0]} x {grid[1]} grid" if masks[view].any() else ""
        logger.warning("%s: no foreground found%s; all of it counts as %s", names[int(view)], place, settings.empty)
        found[view] = settings.empty == "foreground"
    return found
