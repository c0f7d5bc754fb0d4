"""From a ground-truth file to grey values, of which those above a threshold are anomalous.

Masks are drawn in many ways. What can be meant in one way alone is read in that way, with a remark; what can be meant
in two is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from multiflow.base.errors import InputError
from multiflow.datasets.images import Array, eight_bits, oriented, resized
from multiflow.datasets.pictures import SIXTEEN_BIT, Picture, open_picture

__all__ = ["BORDER_COVERED", "Mask", "covers_border", "load_grey_mask", "load_mask", "read_mask"]

BORDER_COVERED = "covers its whole border, as one with black and white exchanged does"


@dataclass(frozen=True)
class Mask:
    """A decoded mask: grey values [height, width], and what there is to doubt about them."""

    grey: Array
    remarks: tuple[str, ...]


def load_grey_mask(path: str | Path, size: int | None = None, flip: bool = False) -> Array:
    """Load a ground-truth mask as grey values, see :func:`read_mask`.

    Args:
        path: the file.
        size: side of the square it is resized to, px (nearest); None keeps its size.
        flip: mirror it left-right, before it is resized.

    Returns:
        Array of shape [size, size], or [height, width], 0 to 255.

    Raises:
        InputError: the file is missing or damaged, or can be read in two ways.
    """
    mask = Image.fromarray(read_mask(open_picture(path), path).grey)
    return np.asarray(resized(oriented(mask, flip), size, Image.Resampling.NEAREST))


def load_mask(path: str | Path, size: int | None = None, flip: bool = False, threshold: int = 127) -> Array:
    """Load a ground-truth mask: 1 where any channel exceeds the threshold, else 0.

    Args:
        path, size, flip: as for :func:`load_grey_mask`.
        threshold: grey value, 0 to 254: 127 in Real-IAD; 254 counts only pixels of 255, as in the
            released code.

    Returns:
        Array of shape [size, size], or [height, width].

    Raises:
        InputError: as for :func:`load_grey_mask`.
    """
    return (load_grey_mask(path, size, flip) > threshold).astype(np.uint8)


def read_mask(picture: Picture, path: str | Path) -> Mask:
    """The grey values of a mask: the maximum over its colour channels, or its transparency where that has the shape.

    Raises:
        InputError: it has several pictures or a type without a range, or its colours and its transparency show
            different shapes; the message names ``path``.
    """
    if picture.frames > 1:
        raise InputError(f"{path}: expected a mask of one picture, found {picture.frames}; save the one that counts")
    image = picture.image
    if image.mode in SIXTEEN_BIT | {"I", "F"}:
        grey, remarks = _of_numbers(picture, path)
    elif image.has_transparency_data:
        grey, remarks = _of_transparency(image, path)
    else:
        grey, remarks = _strongest(image), []
    if picture.coarse and not grey.any():
        remarks.append("the mask's 16-bit colours are all below 256 and read as 0; store it in grey or in 8 bits")
    if grey.max() == 1 and grey.min() == 0:
        grey = grey * np.uint8(255)
        remarks.append("the mask's values 0 and 1 are read as 0 and 255")
    return Mask(grey, (*picture.remarks, *remarks))


def covers_border(anomalous: NDArray[Any]) -> NDArray[np.bool_]:
    """Whether every pixel of the border is anomalous, for masks [..., height, width]."""
    rows, columns = anomalous[..., [0, -1], :], anomalous[..., [0, -1]]
    return np.logical_and(rows.all(axis=(-2, -1)), columns.all(axis=(-2, -1)))


def _strongest(image: Image.Image) -> Array:
    """The maximum over the colour channels."""
    return np.asarray(image) if image.mode == "L" else np.asarray(image.convert("RGB")).max(axis=2)


def _of_numbers(picture: Picture, path: str | Path) -> tuple[Array, list[str]]:
    """Grey values of an image whose type has more than eight bits; labels of pixels are often stored so."""
    values = np.asarray(picture.image)
    with np.errstate(invalid="ignore"):
        small = values.astype(np.uint8)
    if np.array_equal(values, small):  # neither negative, nor fractions, nor NaN
        few = set(np.unique(values).tolist()) <= {0, 1}
        return small, [] if few else ["the mask's values up to 255 are read as 8-bit ones"]
    return np.asarray(eight_bits(picture, path)), []


def _of_transparency(image: Image.Image, path: str | Path) -> tuple[Array, list[str]]:
    """Grey values of an image with an alpha channel, or with a transparent colour."""
    channels = np.asarray(image.convert("RGBA"))
    grey, alpha = channels[..., :3].max(axis=2), channels[..., 3]
    if alpha.min() == alpha.max():
        return grey, []
    if grey.min() == grey.max():
        return alpha, ["the mask has one colour and is read from its transparency"]
    if grey[alpha == 0].any():
        raise InputError(
            f"{path}: expected a mask in its colours or in its transparency, found different shapes in both; save it "
            "without transparency"
        )
    # What is transparent has no colour: this is the mask as it is seen on black.
    seen = (grey.astype(np.uint16) * alpha + 127) // 255
    return seen.astype(np.uint8), []
