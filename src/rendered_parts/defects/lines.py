"""Defects that are thin lines: scratch (HS) and crack, which stands for damage (PS)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rendered_parts.defects.base import Site, SurfaceDefect, smooth_step, tangents
from rendered_parts.geometry import Array
from rendered_parts.noise import Noise3

__all__ = ["crack", "scratch"]

_REACH = 0.15
"""How deep below or above the site a line still marks the surface."""


@dataclass(frozen=True)
class _Stroke:
    """One curved line of a scratch in the plane of its site."""

    origin: Array
    along: Array
    across: Array
    normal: Array
    length: float
    width: float
    bend: float
    noise: Noise3
    shift: float

    def coordinates(self, points: Array) -> tuple[Array, Array, Array]:
        """Place along the line, distance from it and height above it."""
        relative = points - self.origin
        along = relative @ self.along
        wobble = self.noise(np.c_[along * 5 + self.shift, np.full((len(along), 2), 3.3)], octaves=2)
        return along, relative @ self.across - self.bend * along**2 - 0.02 * wobble, relative @ self.normal

    def depth(self, points: Array, widen: float = 1.0) -> Array:
        """1 in the groove, 0 outside, ``[n]``."""
        along, distance, height = self.coordinates(points)
        uneven = 0.75 + 0.4 * self.noise(np.c_[along * 20 + self.shift, np.full((len(along), 2), 7.7)], octaves=2)
        taper = np.sqrt(np.clip(1 - (2 * along / self.length) ** 2, 0, 1))
        width = np.maximum(self.width * widen * taper * np.maximum(uneven, 0.35), 1e-5)
        inside = 1 - smooth_step(0.55 * width, 1.25 * width, np.abs(distance))
        return np.where((taper > 1e-3) & (np.abs(height) < _REACH), inside, 0)

    def near(self, centers: Array, radii: Array) -> Array:
        along, distance, height = self.coordinates(centers)
        slope = 1.1 + 2 * abs(self.bend) * self.length
        return (
            (np.abs(along) < self.length / 2 + radii)
            & (np.abs(distance) < 2.1 * self.width + radii * slope)
            & (np.abs(height) < _REACH + radii)
        )


def scratch(site: Site, rng: np.random.Generator) -> SurfaceDefect:
    """One to three grooves with raised contrast."""
    first, second = tangents(site.normal, rng)
    noise = Noise3(rng)
    strokes = []
    for index in range(rng.integers(1, 4)):
        turn = rng.normal(0, 0.12)
        along = np.cos(turn) * first + np.sin(turn) * second
        offset = (second * rng.normal(0, 0.05) + first * rng.normal(0, 0.12)) * (index > 0)
        length = rng.uniform(0.5, 0.95) * (1 if index == 0 else 0.6) * site.size
        width = rng.uniform(0.011, 0.016) * (0.6 + 0.4 * site.size)
        across = np.cross(site.normal, along)
        strokes.append(
            _Stroke(
                site.point + offset * site.size, along, across, site.normal, length, width,
                rng.normal(0, 0.25), noise, 30.0 * index,
            )
        )  # fmt: skip
    depth = rng.uniform(0.006, 0.010)
    tone = rng.choice([0.25, 0.7])

    def groove(points: Array, widen: float = 1.0) -> Array:
        return np.max([stroke.depth(points, widen) for stroke in strokes], axis=0)

    def color(points: Array, colors: Array) -> Array:
        scarred = colors * tone if site.metal else 0.5 * colors + 0.45 * colors.max(1, keepdims=True) + 0.10
        return colors + (scarred - colors) * (0.9 * site.contrast * groove(points))[:, None]

    return SurfaceDefect(
        near=lambda centers, radii: np.any([stroke.near(centers, radii) for stroke in strokes], axis=0),
        edge=0.0075,
        field=groove,
        displacement=lambda points: -site.normal * (depth * groove(points, 1.4))[:, None],
        color=color,
        roughness=lambda points, rough: rough + (0.6 - rough) * site.contrast * groove(points),
    )


def crack(site: Site, rng: np.random.Generator) -> SurfaceDefect:
    """A jagged dark crack with one branch."""
    along, across = tangents(site.normal, rng)
    noise = Noise3(rng)
    length = rng.uniform(0.5, 0.8) * site.size
    count = 26
    stations = np.linspace(-length / 2, length / 2, count)
    course = np.cumsum(rng.normal(0, 0.02 * site.size, count))
    course -= course[count // 2]
    width = rng.uniform(0.010, 0.014) * (0.6 + 0.4 * site.size)
    fork, side = int(count * 0.6), rng.choice([-1, 1])

    def gap(points: Array) -> Array:
        relative = points - site.point
        place, distance = relative @ along, relative @ across
        close = np.abs(relative @ site.normal) < _REACH
        taper = np.clip(1.2 - np.abs(place) / (length / 2), 0, 1) ** 0.6
        wide = width * taper * np.maximum(0.8 + 0.4 * noise(points, 16.0, 2), 0.3) + 1e-5
        main = 1 - smooth_step(0.5 * wide, wide, np.abs(distance - np.interp(place, stations, course)))
        beyond = place - stations[fork]
        aside = distance - course[fork] - side * 0.8 * beyond - 0.02 * noise(points, 12.0)
        branch = 1 - smooth_step(0.35 * wide, 0.75 * wide, np.abs(aside))
        return np.maximum(
            np.where((np.abs(place) < length / 2) & close, main, 0),
            np.where((beyond > 0) & (beyond < 0.25 * length) & close, branch, 0),
        )

    def near(centers: Array, radii: Array) -> Array:
        relative = centers - site.point
        distance = np.abs(relative @ across - np.interp(relative @ along, stations, course))
        return (
            (np.linalg.norm(relative, axis=1) < 0.7 * length + radii)
            & (distance < 0.25 * length + radii)
            & (np.abs(relative @ site.normal) < _REACH + radii)
        )

    return SurfaceDefect(
        near=near,
        edge=0.0085,
        field=gap,
        displacement=lambda points: -site.normal * (0.03 * gap(points))[:, None],
        color=lambda points, colors: colors * (1 - 0.9 * site.contrast * gap(points))[:, None],
        roughness=lambda points, rough: rough + (0.8 - rough) * gap(points),
    )
