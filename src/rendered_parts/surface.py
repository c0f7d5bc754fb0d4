"""Triangles with a normal and a texture coordinate at each corner: what the renderer draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from manifold3d import Manifold

from rendered_parts.geometry import Array

__all__ = ["Surface", "corner_normals", "unit"]


def unit(vectors: Array) -> Array:
    """Vectors of length one along the last axis."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


@dataclass(frozen=True)
class Surface:
    """A soup of ``n`` triangles.

    Attributes:
        positions: ``[n, 3, 3]``, triangle, corner, coordinate.
        normals: ``[n, 3, 3]``, unit vectors.
        texture: ``[n, 3, 2]``, texture coordinates.
        origin: ``[n]``, manifold3d's id of the solid that a triangle came from.
    """

    positions: Array
    normals: Array
    texture: Array
    origin: Array

    @classmethod
    def of(cls, body: Manifold, crease: float, mapping: str = "box") -> Surface:
        """The boundary of a solid; edges sharper than ``crease`` degrees stay sharp."""
        mesh = body.to_mesh()
        vertices = np.asarray(mesh.vert_properties)[:, :3].astype(np.float64)
        faces = np.asarray(mesh.tri_verts).astype(np.int64)
        runs = np.diff(np.asarray(mesh.run_index) // 3)
        origin = np.repeat(np.asarray(mesh.run_original_id)[: len(runs)].astype(np.int64), runs)
        corners = vertices[faces]
        area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
        keep = area > 1e-9
        return cls.of_faces(vertices, faces[keep], crease, mapping, origin[keep])

    @classmethod
    def of_faces(
        cls, vertices: Array, faces: Array, crease: float, mapping: str = "box", origin: Array | None = None
    ) -> Surface:
        """A surface from ``vertices [m, 3]`` and ``faces [n, 3]``."""
        positions = vertices[faces]
        origin = np.zeros(len(faces), np.int64) if origin is None else origin
        return cls(positions, corner_normals(vertices, faces, crease), _texture_mapping(positions, mapping), origin)

    @property
    def areas(self) -> Array:
        """Areas ``[n]`` of the triangles."""
        edges = self.positions[:, 1:] - self.positions[:, :1]
        return np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1) / 2

    @property
    def centers(self) -> Array:
        """Centres ``[n, 3]`` of the triangles."""
        return self.positions.mean(1)

    @property
    def radii(self) -> Array:
        """Distance ``[n]`` from a triangle's centre to its farthest corner."""
        return np.linalg.norm(self.positions - self.centers[:, None], axis=2).max(1)

    def select(self, which: Array) -> Surface:
        """The triangles that a mask or an index names."""
        return Surface(self.positions[which], self.normals[which], self.texture[which], self.origin[which])

    def transformed(self, rotation: Array, translation: Array) -> Surface:
        """The surface after ``p -> rotation p + translation``."""
        return replace(self, positions=self.positions @ rotation.T + translation, normals=self.normals @ rotation.T)

    def shifted_texture(self, offset: Array) -> Surface:
        """The surface with another piece of the texture on it."""
        return replace(self, texture=self.texture + offset)

    def welded(self) -> tuple[Array, Array]:
        """Distinct corner positions ``[m, 3]`` and, per corner, the index ``[3 n]`` of its position."""
        points = self.positions.reshape(-1, 3)
        grid = np.round(points * 1e5).astype(np.int64)
        key = (grid[:, 0] * 2000003 + grid[:, 1]) * 2000003 + grid[:, 2]
        _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
        return points[first], inverse.reshape(-1)

    def warped(self, displacement: Callable[[Array], Array], step: float = 1e-3) -> Surface:
        """Move every point by ``displacement`` ([m, 3] -> [m, 3]) and turn the normals to match.

        Normals transform with the cofactors of the Jacobian, taken by central differences.
        """
        points, inverse = self.welded()
        moved = points + displacement(points)
        jacobian = np.zeros((len(points), 3, 3))
        for axis in range(3):
            offset = np.zeros(3)
            offset[axis] = step
            jacobian[:, :, axis] = (displacement(points + offset) - displacement(points - offset)) / (2 * step)
        jacobian += np.eye(3)
        rows = jacobian.transpose(1, 0, 2)
        cofactors = np.stack([np.cross(rows[1], rows[2]), np.cross(rows[2], rows[0]), np.cross(rows[0], rows[1])], 1)
        normals = unit(np.einsum("nij,nj->ni", cofactors[inverse], self.normals.reshape(-1, 3)))
        return replace(
            self,
            positions=moved[inverse].reshape(self.positions.shape),
            normals=normals.reshape(self.normals.shape),
        )


def _texture_mapping(positions: Array, mapping: str) -> Array:
    """Texture coordinates ``[n, 3, 2]``: box, cylinder (u along the circumference) or lathe (u the angle)."""
    normals = np.cross(positions[:, 1] - positions[:, 0], positions[:, 2] - positions[:, 0])
    if mapping == "box":
        axis = np.abs(normals).argmax(1)
        planes = [positions[..., [1, 2]], positions[..., [0, 2]], positions[..., [0, 1]]]
        return np.choose(axis[:, None, None], planes)
    radius = np.hypot(positions[..., 0], positions[..., 1])
    angle = np.arctan2(positions[..., 1], positions[..., 0])
    angle = angle[:, :1] + (angle - angle[:, :1] + np.pi) % (2 * np.pi) - np.pi
    if mapping == "lathe":
        return np.stack([angle / (2 * np.pi), radius + np.abs(positions[..., 2])], -1)
    wall = np.abs(unit(normals)[:, 2]) < 0.7
    around = np.stack([angle * np.abs(radius).max(), positions[..., 2]], -1)
    return np.where(wall[:, None, None], around, positions[..., :2])


def corner_normals(vertices: Array, faces: Array, crease: float) -> Array:
    """Normals ``[n, 3, 3]`` at the corners, the mean of the faces within ``crease`` degrees.

    Weighted by area times corner angle: without the area, flat faces beside small fillets get a shading
    normal that turns black at grazing angles.
    """
    corners = vertices[faces]
    cross = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(cross, axis=1)
    flat = cross / np.maximum(area, 1e-20)[:, None]
    ahead = unit(np.roll(corners, -1, 1) - corners)
    back = unit(np.roll(corners, 1, 1) - corners)
    angle = np.arccos(np.clip((ahead * back).sum(-1), -1, 1))

    _, place = np.unique(np.round(vertices * 20000).astype(np.int64), axis=0, return_inverse=True)
    place = place.reshape(-1)[faces].reshape(-1)
    order = np.argsort(place, kind="stable")
    face = np.repeat(np.arange(len(faces)), 3)[order]
    weight = (angle.reshape(-1) * np.repeat(area, 3))[order]
    start = np.r_[0, np.flatnonzero(np.diff(place[order])) + 1]
    count = np.diff(np.r_[start, len(order)])

    # All pairs (corner, face that touches the same place).
    group = np.repeat(np.arange(len(start)), count)
    repeats = count[group]
    corner = np.repeat(np.arange(len(order)), repeats)
    within = np.arange(len(corner)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    other = start[group][corner] + within
    smooth = (flat[face[corner]] * flat[face[other]]).sum(1) > np.cos(np.radians(crease))
    corner, other = corner[smooth], other[smooth]
    share = weight[other][:, None] * flat[face[other]]
    total = np.stack([np.bincount(corner, share[:, axis], len(order)) for axis in range(3)], -1)
    normals = np.empty_like(total)
    normals[order] = unit(total)
    return normals.reshape(-1, 3, 3)
