"""Nine operations that change a picture's colours; three of them, drawn at random, make a source of defects strange.

They are those of imgaug 0.4 (which no longer runs under NumPy 2), with Pillow and OpenCV.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

__all__ = [
    "Space",
    "altered",
    "autocontrast",
    "brightness",
    "equalize",
    "gamma",
    "hue_saturation",
    "invert",
    "posterize",
    "sharpness",
    "solarize",
]

Picture = NDArray[np.uint8]
"""RGB [S, S, 3]."""

Space = Literal["YCrCb", "HSV", "HLS", "Lab", "Luv", "YUV"]
"""Colour spaces with a channel of brightness."""

_CHANNEL = {"HSV": 2, "HLS": 1}  # of brightness; the first one of the other spaces


def gamma(picture: Picture, exponents: NDArray[np.float64]) -> Picture:
    """Each channel to a power of its own, over its range from 0 to 255."""
    return np.floor(255 * (picture / 255) ** exponents).astype(np.uint8)


def brightness(picture: Picture, space: Space, factor: float, offset: int, multiply_first: bool = True) -> Picture:
    """The brightness in a colour space multiplied and shifted, each with its result clipped to 0 to 255."""
    values = cv2.cvtColor(picture, getattr(cv2, f"COLOR_RGB2{space}"))
    channel = values[..., _CHANNEL.get(space, 0)].astype(np.float64)
    for step in ("multiply", "add") if multiply_first else ("add", "multiply"):
        channel = np.clip(np.floor(channel * factor) if step == "multiply" else channel + offset, 0, 255)
    values[..., _CHANNEL.get(space, 0)] = channel.astype(np.uint8)
    return cv2.cvtColor(values, getattr(cv2, f"COLOR_{space}2RGB")).astype(np.uint8)


def sharpness(picture: Picture, factor: float) -> Picture:
    """Blurred below a factor of 1, sharpened above."""
    return np.asarray(ImageEnhance.Sharpness(Image.fromarray(picture)).enhance(factor))


def hue_saturation(picture: Picture, hue: int, saturation: int) -> Picture:
    """Hue turned by a number of 255 that are a whole circle, saturation shifted."""
    values = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV).astype(np.int64)
    values[..., 0] = (values[..., 0] + int(hue * 180 / 255)) % 180
    values[..., 1] = np.clip(values[..., 1] + saturation, 0, 255)
    return cv2.cvtColor(values.astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.uint8)


def solarize(picture: Picture, threshold: float) -> Picture:
    """Inverted from the threshold on."""
    return np.where(picture >= threshold, 255 - picture, picture)


def posterize(picture: Picture, bits: int) -> Picture:
    """Only the upper bits kept."""
    return np.asarray(ImageOps.posterize(Image.fromarray(picture), bits))


def invert(picture: Picture) -> Picture:
    """The negative."""
    return 255 - picture


def autocontrast(picture: Picture, cutoff: int) -> Picture:
    """Each channel stretched to its whole range, without the darkest and brightest percent."""
    return np.asarray(ImageOps.autocontrast(Image.fromarray(picture), cutoff))


def equalize(picture: Picture) -> Picture:
    """Each channel with all values equally frequent."""
    return np.asarray(ImageOps.equalize(Image.fromarray(picture)))


def altered(picture: Picture, generator: np.random.Generator) -> Picture:
    """A picture after three different operations, in random order and with random parameters."""
    for index in generator.choice(len(_DRAWN), 3, replace=False).tolist():
        picture = _DRAWN[index](picture, generator)
    return picture


def _brightness(picture: Picture, generator: np.random.Generator) -> Picture:
    space: Space = generator.choice(np.array(get_args(Space))).item()
    factor, offset = float(generator.uniform(0.8, 1.2)), int(generator.integers(-30, 30, endpoint=True))
    return brightness(picture, space, factor, offset, bool(generator.integers(2)))


def _hue_saturation(picture: Picture, generator: np.random.Generator) -> Picture:
    hue, saturation = generator.integers(-50, 50, 2, endpoint=True).tolist()
    return hue_saturation(picture, hue, saturation)


def _solarize(picture: Picture, generator: np.random.Generator) -> Picture:
    threshold = float(generator.uniform(32, 128))
    return solarize(picture, threshold) if generator.random() < 0.5 else picture


_DRAWN: tuple[Callable[[Picture, np.random.Generator], Picture], ...] = (
    lambda picture, generator: gamma(picture, generator.uniform(0.5, 2.0, 3)),
    _brightness,
    lambda picture, generator: sharpness(picture, float(generator.uniform(0, 2))),
    _hue_saturation,
    _solarize,
    lambda picture, generator: posterize(picture, int(generator.integers(1, 8, endpoint=True))),
    lambda picture, generator: invert(picture),
    lambda picture, generator: autocontrast(picture, int(generator.integers(0, 20, endpoint=True))),
    lambda picture, generator: equalize(picture),
)
