"""Local refinement of a surface, so that a small defect has enough triangles to be shaped with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rendered_parts.geometry import Array
from rendered_parts.surface import Surface, unit

__all__ = ["Near", "refine"]

Near = Callable[[Array, Array], Array]
"""From centres ``[n, 3]`` and radii ``[n]`` of triangles to whether they touch a region ``[n]``."""

# Children of a triangle by which of its edges (bits 0, 1, 2) are split. Local vertices: 0, 1, 2 the corners,
# 3, 4, 5 the middles of the edges 0-1, 1-2, 2-0.
_CHILDREN = {
    1: [(0, 3, 2), (3, 1, 2)],
    2: [(1, 4, 0), (4, 2, 0)],
    3: [(3, 1, 4), (0, 3, 4), (0, 4, 2)],
    4: [(2, 5, 1), (5, 0, 1)],
    5: [(5, 0, 3), (2, 5, 3), (2, 3, 1)],
    6: [(4, 2, 5), (1, 4, 5), (1, 5, 0)],
    7: [(0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)],
}
_ROUNDS = 14
_MOST_TRIANGLES = 400_000


def refine(surface: Surface, near: Near, edge: float) -> Surface:
    """Bisect the edges of the triangles that ``near`` picks until they are at most ``edge`` long.

    Whether an edge is split depends on its end points only, so that neighbours agree and no crack opens.
    Triangles far from the region are set aside; T-junctions there are harmless, as nothing moves.
    """
    active = surface
    finished: list[Surface] = []
    for _ in range(_ROUNDS):
        centers, radii = active.centers, active.radii
        hot = near(centers, radii)
        far = ~hot & ~near(centers, radii * 1.5 + 0.5 * edge)
        finished.append(active.select(far))
        active, hot = active.select(~far), hot[~far]
        length = np.linalg.norm(active.positions - np.roll(active.positions, -1, 1), axis=2)
        hot &= length.max(1, initial=0.0) > edge
        if not hot.any():
            break
        longest = length > np.maximum(edge, 0.62 * length.max(1, keepdims=True))
        key = _edge_keys(active.positions)
        split = np.isin(key, np.unique(key[hot[:, None] & longest]))
        active = _split(active, split)
        if len(active.positions) > _MOST_TRIANGLES:
            break
    return _concatenate([active, *finished])


def _concatenate(surfaces: list[Surface]) -> Surface:
    return Surface(
        np.concatenate([s.positions for s in surfaces]),
        unit(np.concatenate([s.normals for s in surfaces])),
        np.concatenate([s.texture for s in surfaces]),
        np.concatenate([s.origin for s in surfaces]),
    )


def _edge_keys(positions: Array) -> Array:
    """A number ``[n, 3]`` per edge that both triangles at the edge agree on."""
    grid = np.round(positions * 1e5).astype(np.int64)
    here = (grid * (73856093, 19349663, 83492791)).sum(-1)
    there = np.roll(here, -1, 1)
    return np.minimum(here, there) * 2654435761 ^ np.maximum(here, there) * 805459861


def _split(surface: Surface, split: Array) -> Surface:
    """Replace the triangles with split edges ``[n, 3]`` by their children."""
    pattern = split @ np.array([1, 2, 4])
    parts = [surface.select(pattern == 0)]
    for bits, children in _CHILDREN.items():
        parent = surface.select(pattern == bits)
        if not len(parent.positions):
            continue
        positions, normals, texture = (
            np.concatenate([values, (values + np.roll(values, -1, 1)) / 2], 1)
            for values in (parent.positions, parent.normals, parent.texture)
        )
        for child in children:
            corners = list(child)
            parts.append(Surface(positions[:, corners], normals[:, corners], texture[:, corners], parent.origin))
    return _concatenate(parts)
