"""Defects that are solids: foreign objects (YW) added to a part, chips (QS) broken out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from manifold3d import Manifold

from rendered_parts.defects.base import Site, tangents
from rendered_parts.geometry import Array, tube
from rendered_parts.noise import Noise3
from rendered_parts.surface import Surface

__all__ = ["ForeignObject", "chip", "foreign_object"]


@dataclass(frozen=True)
class ForeignObject:
    """Something that lies on a part."""

    surface: Surface
    color: Array
    roughness: float


_FIBRES = ((0.02, 0.02, 0.03), (0.75, 0.73, 0.68), (0.05, 0.08, 0.25))
_CRUMBS = ((0.03, 0.03, 0.03), (0.28, 0.16, 0.07), (0.60, 0.58, 0.52), (0.08, 0.10, 0.12))


def foreign_object(site: Site, part: Manifold, rng: np.random.Generator) -> ForeignObject:
    """A fibre that lies on the part, or a rough or glossy crumb."""
    kind = rng.integers(3)
    if kind == 0:
        return _fibre(site, part, rng)
    radius = rng.uniform(0.055, 0.09) * site.size
    rough = kind == 1
    turn = float(rng.uniform(0, 360))
    crumb = _blob(rng, radius, (1.2, 0.9, 0.7), 0.45 if rough else 0.15, 2.5).rotate((0, 0, turn))
    place = site.point + np.array([0, 0, 0.35 * radius]) + site.normal * 0.15 * radius
    surface = Surface.of(crumb.translate(tuple(place)), 60.0)
    return ForeignObject(surface, np.array(_CRUMBS[rng.integers(len(_CRUMBS))]), 0.75 if rough else 0.15)


def _fibre(site: Site, part: Manifold, rng: np.random.Generator) -> ForeignObject:
    count = 60
    along, across = tangents(np.array([0.0, 0.0, 1.0]), rng)
    length = rng.uniform(0.5, 0.9) * (0.4 + 0.6 * site.size)
    place = np.linspace(-length / 2, length / 2, count)
    sway = np.cumsum(np.cumsum(rng.normal(0, 0.006, count)))
    sway -= np.linspace(sway[0], sway[-1], count)
    sway *= min(1.0, 0.3 * length / np.abs(sway).max())
    path = site.point + place[:, None] * along + sway[:, None] * across
    top = 3.0
    heights = np.zeros(count)
    for index, (x, y, _) in enumerate(path):
        hits = part.ray_cast((x, y, top), (x, y, -1.0))
        heights[index] = max([top - (top + 1.0) * hit.distance for hit in hits], default=0.0)
    # A fibre bridges the gaps under it.
    for _ in range(6):
        heights = np.maximum(heights, np.convolve(np.pad(heights, 2, mode="edge"), np.ones(5) / 5, "valid"))
    path[:, 2] = np.maximum(heights, 0.0) + 0.012
    vertices, faces = tube(path, rng.uniform(0.010, 0.015))
    surface = Surface.of_faces(vertices, faces, 80.0)
    return ForeignObject(surface, np.array(_FIBRES[rng.integers(len(_FIBRES))]), 0.6)


def chip(site: Site, rng: np.random.Generator) -> Manifold:
    """The irregular solid that has broken out of the part."""
    radius = rng.uniform(0.14, 0.22) * site.size
    blob = _blob(rng, radius, (1.25, 1.0, 0.9), 0.30, 2.6)
    x, y, z = rng.uniform(0, 360, 3)
    return blob.rotate((x, y, z)).translate(tuple(site.point + site.normal * radius * 0.35)).as_original()


def _blob(
    rng: np.random.Generator,
    radius: float,
    shape: tuple[float, float, float],
    roughness: float,
    frequency: float,
) -> Manifold:
    noise = Noise3(rng)

    def warp(points: Array) -> Array:
        points = np.asarray(points, float)
        return points * (1 + roughness * noise(points + 5, frequency, 3))[:, None] * radius * np.array(shape)

    return Manifold.sphere(1.0, 64).warp_batch(warp)
