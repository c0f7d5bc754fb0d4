"""From a picture or mask file to an array of the size that a network takes.

A picture that is not square is squeezed to a square, as in the released code. An EXIF orientation is ignored,
also as there: pixels and masks are taken as they are stored. Transparency is ignored. 16-bit grey values are
taken over their full range, 0 to 65535.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from multiflow.base.errors import InputError

__all__ = ["Resampling", "decode_picture", "image_array", "load_grey_mask", "load_image", "load_mask"]

Array: TypeAlias = NDArray[np.uint8]
Resampling: TypeAlias = Literal["bilinear", "lanczos"]

_EIGHT_BIT = {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"}
_SIXTEEN_BIT = {"I;16", "I;16B", "I;16L", "I;16N"}


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
    return image_array(decode_picture(path), size, flip, resampling)


def image_array(
    picture: Image.Image, size: int | None = None, flip: bool = False, resampling: Resampling = "bilinear"
) -> Array:
    """The RGB array of a decoded picture; arguments and result as for :func:`load_image`."""
    picture = _oriented(picture.convert("RGB"), flip)
    return np.asarray(_resized(picture, size, Image.Resampling[resampling.upper()]))


def load_grey_mask(path: str | Path, size: int | None = None, flip: bool = False) -> Array:
    """Load a ground-truth mask as grey values, the maximum over its channels.

    Args:
        path: the file.
        size: side of the square it is resized to, px (nearest); None keeps its size.
        flip: mirror it left-right, before it is resized.

    Returns:
        Array of shape [size, size], or [height, width], 0 to 255.

    Raises:
        InputError: as for :func:`load_image`.
    """
    picture = decode_picture(path)
    if picture.mode != "L":
        picture = Image.fromarray(np.asarray(picture.convert("RGB")).max(axis=2))
    return np.asarray(_resized(_oriented(picture, flip), size, Image.Resampling.NEAREST))


def load_mask(path: str | Path, size: int | None = None, flip: bool = False, threshold: int = 127) -> Array:
    """Load a ground-truth mask: 1 where any channel exceeds the threshold, else 0.

    Args:
        path, size, flip: as for :func:`load_grey_mask`.
        threshold: grey value, 0 to 254: 127 in Real-IAD; 254 counts only pixels of 255, as in the
            released code.

    Returns:
        Array of shape [size, size], or [height, width].

    Raises:
        InputError: as for :func:`load_image`.
    """
    return (load_grey_mask(path, size, flip) > threshold).astype(np.uint8)


def decode_picture(path: str | Path, content: bytes | None = None) -> Image.Image:
    """Decode a picture file completely, in one of Pillow's modes with eight bits a channel.

    Args:
        path: the file; it is named in messages.
        content: the file's bytes, if they have been read already.

    Raises:
        InputError: as for :func:`load_image`.
    """
    try:
        if content is None:
            content = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    try:
        picture = Image.open(BytesIO(content))
        picture.load()
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        reason = "not a picture" if isinstance(error, UnidentifiedImageError) else str(error)
        raise InputError(
            f"{path}: expected a picture, cannot decode its {len(content)} bytes ({reason}); restore it"
        ) from None
    if picture.mode in _SIXTEEN_BIT:
        values: NDArray[Any] = np.asarray(picture).astype(np.uint32)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if picture.mode not in _EIGHT_BIT:
        raise InputError(f"{path}: expected 8 or 16 bits a channel, found Pillow mode {picture.mode}; convert the file")
    return picture


def _oriented(picture: Image.Image, flip: bool) -> Image.Image:
    return ImageOps.mirror(picture) if flip else picture


def _resized(picture: Image.Image, size: int | None, method: Image.Resampling) -> Image.Image:
    return picture if size is None or picture.size == (size, size) else picture.resize((size, size), method)
