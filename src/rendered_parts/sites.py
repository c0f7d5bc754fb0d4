"""Where on a part a defect arises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from manifold3d import Manifold

from rendered_parts.cameras import Camera
from rendered_parts.geometry import Array
from rendered_parts.surface import Surface, unit

__all__ = ["find_site"]

_TRIALS = 40
_LONELY = 0.4
"""Share of defects that are sought where one camera alone sees them."""


def find_site(
    surfaces: list[Surface],
    whole: Manifold,
    pose: tuple[Array, Array, float],
    rng: np.random.Generator,
    region: str,
    cameras: Sequence[Camera],
) -> tuple[Array, Array, int]:
    """Draw a visible point of the surface, uniform by area.

    Args:
        surfaces: of the components, in the part's coordinates.
        whole: the union of the components, which hides points from cameras.
        pose: rotation, translation of the part and the height that the cameras look at.
        region: ``anywhere``, ``top`` (what faces up) or ``edge`` (rounded upper outer edges).
        cameras: of which at least one sees the point.

    Returns:
        The point, the outward normal and the index of its component.
    """
    rotation, translation, height = pose
    eyes = [(camera.position(height) - translation) @ rotation for camera in cameras]
    positions = np.concatenate([s.positions for s in surfaces])
    normals = np.concatenate([s.normals for s in surfaces])
    component = np.repeat(np.arange(len(surfaces)), [len(s.positions) for s in surfaces])
    centers = positions.mean(1)
    weight = np.concatenate([s.areas for s in surfaces]) * (centers[:, 2] > 0.12)
    if region == "top":
        weight *= normals.mean(1)[:, 2] > 0.25
    if region == "edge":
        bent = 1 - np.einsum("nd,nd->n", normals[:, 0], normals[:, 2]) > 0.01
        outside = np.hypot(centers[:, 0], centers[:, 1])
        weight *= bent & (centers[:, 2] > 0.5 * centers[:, 2].max()) & (outside > 0.7 * outside.max())
    weight /= weight.sum()

    lonely = rng.random() < _LONELY
    best: tuple[int, Array, Array, int] | None = None
    for _ in range(_TRIALS):
        triangle = rng.choice(len(weight), p=weight)
        mix = rng.dirichlet((1, 1, 1))
        point, normal = mix @ positions[triangle], unit(mix @ normals[triangle])
        seen = sum(_sees(eye, point, normal, whole) for eye in eyes)
        if seen and (best is None or (seen < best[0] if lonely else seen > best[0])):
            best = seen, point, normal, int(component[triangle])
        if best is not None and (best[0] == 1 if lonely else best[0] >= 2):
            break
    if best is None:
        raise RuntimeError(f"no visible site in region {region!r} after {_TRIALS} trials")
    return best[1:]


def _sees(eye: Array, point: Array, normal: Array, whole: Manifold) -> bool:
    """Whether a camera sees a point of the surface, and not too flatly."""
    ray = eye - point
    if normal @ ray < 0.3 * np.linalg.norm(ray):
        return False
    return not whole.ray_cast(tuple(point + 0.01 * normal), tuple(eye))
