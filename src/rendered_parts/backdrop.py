"""The table under the part: paper structure, stains, specks of dust and fibres.

The table is diffuse, hence its picture is the picture of a plain table times this relative albedo.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates

from rendered_parts.appearance import Appearance
from rendered_parts.cameras import Camera
from rendered_parts.geometry import Array
from rendered_parts.noise import tile

__all__ = ["draw_backdrop", "view_of_backdrop"]

_PIXELS = 1536
_EXTENT = 6.0
"""Width of the painted table; it repeats beyond."""


@lru_cache(maxsize=1)
def _paper() -> Array:
    rng = np.random.default_rng(11)
    fine, slow = tile(rng, _PIXELS, 120, 420), tile(rng, _PIXELS, 2, 9)
    return np.clip(1 + 0.010 * fine + 0.010 * slow, 0.9, 1.1).astype(np.float32)


def draw_backdrop(appearance: Appearance, rng: np.random.Generator) -> Array:
    """Relative albedo ``[1536, 1536]`` of the table."""
    fibres, specks = appearance.dirt
    marks = Image.new("F", (_PIXELS, _PIXELS), 0.0)
    pen = ImageDraw.Draw(marks)
    for x, y in rng.uniform(0, _PIXELS, (specks, 2)):
        radius, shade = rng.uniform(0.6, 1.8), rng.choice([-1, 1], p=[0.75, 0.25]) * rng.uniform(0.05, 0.30)
        pen.ellipse((x - radius, y - radius, x + radius * rng.uniform(0.7, 1.4), y + radius), fill=shade)
    for _ in range(fibres):
        count = 12
        heading = rng.uniform(0, 2 * np.pi) + np.cumsum(rng.normal(0, 0.3, count))
        step = rng.uniform(1.0, 4.0)
        course = rng.uniform(0, _PIXELS, 2) + step * np.cumsum(np.c_[np.cos(heading), np.sin(heading)], 0)
        shade = rng.choice([-1, 1], p=[0.75, 0.25]) * rng.uniform(0.05, 0.22)
        pen.line([tuple(point) for point in course], fill=shade, width=int(rng.integers(2, 4)))
    shift = rng.integers(0, _PIXELS, 2)
    paper = np.roll(_paper(), tuple(shift), (0, 1))
    return np.clip(paper * (1 + gaussian_filter(np.asarray(marks), 0.7)), 0.1, 1.35).astype(np.float32)


def view_of_backdrop(backdrop: Array, camera: Camera, height: float, size: int) -> Array:
    """The relative albedo ``[size, size]`` that a camera sees where nothing stands on the table."""
    place = (camera.ground_points(height, size) / _EXTENT + 0.5) * _PIXELS
    return map_coordinates(backdrop, np.moveaxis(place, -1, 0), order=1, mode="grid-wrap")
