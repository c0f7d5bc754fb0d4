"""From radiance to the image a camera delivers."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from rendered_parts.appearance import Appearance
from rendered_parts.geometry import Array

__all__ = ["develop"]

_GAIN = 0.62
_KNEE = 0.75


def develop(radiance: Array, appearance: Appearance, rng: np.random.Generator) -> Array:
    """An 8-bit image ``[H, W, 3]`` with exposure, blur, vignette, noise, a soft shoulder and sRGB gamma."""
    size = radiance.shape[0]
    image = radiance * (appearance.white_balance * appearance.exposure * _GAIN).astype(np.float32)
    blur = 0.5 * size / 512
    image = gaussian_filter(image, (blur, blur, 0))
    offset = (np.arange(size) - size / 2) / (size / 2)
    image = image * (1 - 0.035 * (offset[:, None] ** 2 + offset[None] ** 2))[..., None]
    noise = rng.standard_normal(image.shape, np.float32)
    image = np.maximum(image + noise * np.sqrt(1.2e-5 + 4e-5 * np.maximum(image, 0)), 0)
    shoulder = _KNEE + (1 - _KNEE) * (1 - np.exp(-(image - _KNEE) / (1 - _KNEE)))
    image = np.where(image > _KNEE, shoulder, image)
    gamma = 1.055 * np.maximum(image, 1e-8) ** (1 / 2.4) - 0.055
    image = np.where(image <= 0.0031308, 12.92 * image, gamma)
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
