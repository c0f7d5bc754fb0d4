"""A defect of the surface as functions of position, and what its makers share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rendered_parts.geometry import Array
from rendered_parts.refinement import Near

__all__ = ["Site", "SurfaceDefect", "ball", "balls", "smooth_step", "tangents"]


@dataclass(frozen=True)
class Site:
    """Where a defect sits and how strong it is.

    Attributes:
        point, normal: place on the surface and its outward normal, ``[3]``.
        metal: whether the material there is metal.
        size: factor on the defect's extent, 1 is a large one.
        contrast: factor in (0, 1] on how far it differs in colour and roughness.
    """

    point: Array
    normal: Array
    metal: bool
    size: float
    contrast: float


@dataclass(frozen=True)
class SurfaceDefect:
    """A change of the surface, given as functions of position, hence the same for all cameras.

    Attributes:
        near: which triangles it may touch.
        edge: longest edge that shapes it well.
        field: ``[n, 3] -> [n]``, above 0.5 inside the defect: the ground truth.
        displacement: ``[n, 3] -> [n, 3]``, or None.
        color: (points, colours ``[n, 3]``) -> colours, or None.
        roughness: (points, roughness ``[n]``) -> roughness, or None.
    """

    near: Near
    edge: float
    field: Callable[[Array], Array]
    displacement: Callable[[Array], Array] | None = None
    color: Callable[[Array, Array], Array] | None = None
    roughness: Callable[[Array, Array], Array] | None = None


def smooth_step(start: float | Array, end: float | Array, value: Array) -> Array:
    """Hermite step from 0 at ``start`` to 1 at ``end`` (which may be the smaller one)."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def tangents(normal: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two random unit vectors that are perpendicular to the normal and to each other."""
    vector = rng.normal(size=3)
    first = vector - (vector @ normal) * normal
    first /= np.linalg.norm(first)
    return first, np.cross(normal, first)


def ball(center: Array, radius: float) -> Near:
    """Triangles that touch a ball."""
    return lambda centers, radii: np.linalg.norm(centers - center, axis=1) < radius + radii


def balls(spots: list[tuple[Array, float]]) -> Near:
    """Triangles that touch any of several balls."""
    parts = [ball(center, radius) for center, radius in spots]
    return lambda centers, radii: np.any([part(centers, radii) for part in parts], axis=0)
