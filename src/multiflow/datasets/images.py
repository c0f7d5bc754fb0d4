"""From a picture file to an array of the size that a network takes.

A picture that is not square is squeezed to a square, as in the released code. An EXIF orientation is ignored,
also as there: pixels and masks are taken as they are stored. Transparency is ignored. 16-bit grey values are
taken over their full range, 0 to 65535, and over that of fewer bits where the file says so.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from multiflow.base.errors import InputError
from multiflow.datasets.pictures import SIXTEEN_BIT, Picture, open_picture

__all__ = [
    "Array",
    "Resampling",
    "eight_bits",
    "few_bits",
    "image_array",
    "load_image",
    "oriented",
    "picture_remarks",
    "resized",
]

Array: TypeAlias = NDArray[np.uint8]
Resampling: TypeAlias = Literal["bilinear", "lanczos"]

_EIGHT_BIT = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}


def load_image(
    path: str | Path, size: int | None = None, flip: bool = False, resampling: Resampling = "bilinear"
) -> Array:
    """Load a picture as RGB.

    Args:
        path: the file.
        size: side of the square it is resized to, px (antialiased); None keeps its size.
        flip: mirror it left-right, before it is resized.
        resampling: how it is resized.

    Returns:
        Array of shape [size, size, 3], or [height, width, 3].

    Raises:
        InputError: the file is missing, damaged, or of a pixel type that has no defined range.
    """
    return image_array(eight_bits(open_picture(path), path), size, flip, resampling)


def image_array(
    picture: Image.Image, size: int | None = None, flip: bool = False, resampling: Resampling = "bilinear"
) -> Array:
    """The RGB array of a decoded picture; arguments and result as for :func:`load_image`."""
    picture = oriented(picture if picture.mode == "RGB" else picture.convert("RGB"), flip)
    return np.asarray(resized(picture, size, Image.Resampling[resampling.upper()]))


def eight_bits(picture: Picture, path: str | Path) -> Image.Image:
    """A picture in one of Pillow's modes with eight bits a channel.

    Raises:
        InputError: its type has no defined range; the message names ``path``.
    """
    image = picture.image
    if image.mode in SIXTEEN_BIT:
        highest = 2 ** (picture.known_bits or 16) - 1
        grey = (np.arange(highest + 1) * 255 + highest // 2) // highest
        return Image.fromarray(grey.astype(np.uint8)[np.asarray(image)])
    if image.mode not in _EIGHT_BIT:
        raise InputError(f"{path}: expected 8 or 16 bits a channel, found Pillow mode {image.mode}; convert the file")
    return image


def picture_remarks(picture: Picture) -> list[str]:
    """What there is to doubt about a photograph."""
    remarks = list(picture.remarks)
    if picture.image.has_transparency_data and _varies(picture.image.convert("RGBA").getchannel("A")):
        remarks.append("its transparency is ignored")
    return remarks


def few_bits(highest: int) -> str:
    """What there is to doubt about 16-bit pictures, of which none has a higher value; empty where nothing is."""
    bits = max(highest.bit_length(), 1)
    if bits > 14:
        return ""
    return (
        f"its 16-bit values use {bits} bits at most, so that pictures are nearly black; multiply them by "
        f"{2 ** (16 - bits)}"
    )


def _varies(channel: Image.Image) -> bool:
    lowest, highest = channel.getextrema()
    return bool(lowest != highest)


def oriented(picture: Image.Image, flip: bool) -> Image.Image:
    """A picture, or its mirror image."""
    return ImageOps.mirror(picture) if flip else picture


def resized(picture: Image.Image, size: int | None, method: Image.Resampling) -> Image.Image:
    """A picture of that side, px; None keeps its size."""
    return picture if size is None or picture.size == (size, size) else picture.resize((size, size), method)
