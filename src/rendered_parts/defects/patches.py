"""Defects that cover a patch: pit (AK), deformation (BX), abrasion (CH) and contamination (ZW)."""

from __future__ import annotations

import numpy as np

from rendered_parts.defects.base import Site, SurfaceDefect, ball, balls, smooth_step, tangents
from rendered_parts.geometry import Array
from rendered_parts.noise import Noise3

__all__ = ["abrasion", "contamination", "deformation", "pit"]


def pit(site: Site, rng: np.random.Generator) -> SurfaceDefect:
    """One to three craters with a low rim."""
    noise = Noise3(rng)
    first, second = tangents(site.normal, rng)
    craters = []
    for index in range(rng.integers(1, 4)):
        offset = (first * rng.normal(0, 0.13) + second * rng.normal(0, 0.13)) * (index > 0)
        radius = rng.uniform(0.06, 0.09) * (1 if index == 0 else 0.6) * site.size
        craters.append((site.point + offset * site.size, radius))

    def distances(points: Array) -> list[Array]:
        ragged = 0.22 * noise(points, 14.0)
        return [np.linalg.norm(points - center, axis=1) / radius + ragged for center, radius in craters]

    def displacement(points: Array) -> Array:
        depth = np.zeros(len(points))
        for (_, radius), r in zip(craters, distances(points), strict=True):
            bowl = -0.62 * np.clip(1 - r * r, 0, 1) ** 1.5
            depth += radius * (bowl + 0.10 * np.exp(-(((r - 1.1) / 0.22) ** 2)))
        return site.normal * depth[:, None]

    def inside(points: Array) -> Array:
        return np.max([smooth_step(1.0, 0.4, r) for r in distances(points)], axis=0)

    return SurfaceDefect(
        near=balls([(center, 1.55 * radius) for center, radius in craters]),
        edge=0.011,
        field=lambda points: np.max([smooth_step(1.25, 1.0, r) for r in distances(points)], axis=0),
        displacement=displacement,
        color=lambda points, colors: colors * (1 - 0.35 * site.contrast * inside(points))[:, None],
        roughness=lambda points, rough: rough + 0.15 * inside(points),
    )


def deformation(site: Site, rng: np.random.Generator) -> SurfaceDefect:
    """A dent pressed inwards and a little downwards, with a fold about it."""
    noise = Noise3(rng)
    radius = rng.uniform(0.24, 0.36) * site.size
    depth = rng.uniform(0.09, 0.14) * site.size
    inward = -site.normal + np.array([0, 0, -0.25])
    inward /= np.linalg.norm(inward)

    def amount(points: Array) -> Array:
        r = np.linalg.norm(points - site.point, axis=1) / radius * (1 + 0.15 * noise(points, 3.0))
        fold = 0.10 * np.sin(7.5 * r + 1) * np.exp(-1.2 * r * r) * (r > 0.25)
        return depth * (np.exp(-1.6 * r**3) + fold) * smooth_step(2.0, 1.5, r)

    return SurfaceDefect(
        near=ball(site.point, 2.0 * radius),
        edge=0.022,
        field=lambda points: smooth_step(0.008, 0.022, np.abs(amount(points))),
        displacement=lambda points: inward * amount(points)[:, None],
    )


def abrasion(site: Site, rng: np.random.Generator) -> SurfaceDefect:
    """A patch of fine parallel wear marks."""
    noise = Noise3(rng)
    first, second = tangents(site.normal, rng)
    long, wide = rng.uniform(0.16, 0.30) * site.size, rng.uniform(0.10, 0.18) * site.size

    def patch(points: Array) -> Array:
        relative = points - site.point
        place, aside, above = relative @ first, relative @ second, relative @ site.normal
        r = np.sqrt((place / long) ** 2 + (aside / wide) ** 2 + (above / 0.2) ** 2)
        return smooth_step(1.15, 0.55, r + 0.35 * noise(points, 9.0, 2))

    def marks(points: Array) -> Array:
        relative = points - site.point
        lines = noise(np.c_[relative @ first * 7, relative @ second * 75, relative @ site.normal * 20], octaves=2)
        return patch(points) * (0.35 + 0.65 * smooth_step(-0.1, 0.25, lines))

    def color(points: Array, colors: Array) -> Array:
        worn = colors * 0.5 if site.metal else 0.6 * colors + 0.3 * colors.max(1, keepdims=True) + 0.08
        return colors + (worn - colors) * (0.85 * site.contrast * marks(points))[:, None]

    return SurfaceDefect(
        near=ball(site.point, 1.35 * max(long, wide)),
        edge=0.010,
        field=patch,
        displacement=lambda points: -site.normal * (0.004 * marks(points))[:, None],
        color=color,
        roughness=lambda points, rough: rough + (0.65 - rough) * 0.8 * marks(points),
    )


_STAINS = (
    # colour, roughness, opacity: oil, rust or glue, soot
    ((0.035, 0.022, 0.012), 0.12, 0.88),
    ((0.16, 0.10, 0.045), 0.70, 0.80),
    ((0.02, 0.02, 0.022), 0.55, 0.85),
)


def contamination(site: Site, rng: np.random.Generator) -> SurfaceDefect:
    """A stain with an irregular border and some drops about it."""
    noise = Noise3(rng)
    first, second = tangents(site.normal, rng)
    long, wide = rng.uniform(0.17, 0.28) * site.size, rng.uniform(0.12, 0.20) * site.size
    tint, gloss, opacity = _STAINS[rng.integers(len(_STAINS))]
    drops = []
    for _ in range(rng.integers(2, 7)):
        offset = first * rng.normal(0, 0.22) + second * rng.normal(0, 0.22)
        drops.append((site.point + offset * site.size, rng.uniform(0.02, 0.04) * (0.5 + 0.5 * site.size)))

    def stain(points: Array) -> Array:
        relative = points - site.point
        place, aside, above = relative @ first, relative @ second, relative @ site.normal
        r = np.sqrt((place / long) ** 2 + (aside / wide) ** 2 + (above / 0.25) ** 2)
        value = smooth_step(0.62, 0.5, 0.75 * r + 0.42 * noise(points, 5.0, 3) + 0.02)
        ragged = 0.2 * noise(points, 12.0)
        for center, radius in drops:
            drop = np.linalg.norm(points - center, axis=1) / radius + ragged
            value = np.maximum(value, smooth_step(1.1, 0.85, drop))
        return value

    def color(points: Array, colors: Array) -> Array:
        density = stain(points) * (0.78 + 0.3 * noise(points, 9.0, 3)) * opacity * site.contrast
        return colors + (np.array(tint) - colors) * np.clip(density, 0, 1)[:, None]

    return SurfaceDefect(
        near=balls([(site.point, 1.15 * max(long, wide)), *((c, 1.35 * r) for c, r in drops)]),
        edge=0.012,
        field=stain,
        color=color,
        roughness=lambda points, rough: rough + (gloss - rough) * site.contrast * stain(points),
    )
