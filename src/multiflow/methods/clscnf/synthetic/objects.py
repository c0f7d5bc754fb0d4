"""Where the part is in a picture, by its brightness, as the released code finds it: Otsu's threshold."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

__all__ = ["object_mask"]


def object_mask(picture: NDArray[np.uint8], bright: bool, filled: bool) -> NDArray[np.uint8]:
    """The part's mask [S, S]: 0 is background, the edge is soft.

    A part of the other polarity gives the background, or everything. A constant picture is all part, or none of it.

    Args:
        picture: RGB [S, S, 3].
        bright: whether the part is brighter than its background.
        filled: whether holes belong to the part.
    """
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (3, 3), 0)
    kind = cv2.THRESH_BINARY if bright else cv2.THRESH_BINARY_INV
    _, mask = cv2.threshold(grey, 0, 255, kind | cv2.THRESH_OTSU)
    square = np.ones((3, 3), np.uint8)
    mask = cv2.morphologyEx(cv2.morphologyEx(mask, cv2.MORPH_OPEN, square), cv2.MORPH_CLOSE, square)
    smooth = cv2.GaussianBlur(mask, (0, 0), 2).astype(np.int64)
    found = np.clip(2 * smooth - 255, 0, 255).astype(np.uint8)
    if filled:
        return np.where(binary_fill_holes(found > 0), np.uint8(255), np.uint8(0))
    return found
