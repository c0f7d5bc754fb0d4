"""Outlines in the plane and the solids that parts are made of.

Lengths are in units of about half a part's width; angles in radians; outlines are counter-clockwise.
"""

from __future__ import annotations

import atexit
from functools import lru_cache
from typing import Any

import contourpy
import manifold3d
import numpy as np
from manifold3d import CrossSection, FillRule, Manifold, Mesh, OpType
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

__all__ = [
    "Array",
    "circle",
    "fillet",
    "helix",
    "join",
    "regular_polygon",
    "revolve",
    "rounded_prism",
    "rounded_rectangle",
    "solid",
    "text_outline",
    "tube",
]

Array = NDArray[Any]


def circle(radius: float, count: int = 128) -> Array:
    """Outline ``[count, 2]`` of a circle."""
    return regular_polygon(count, radius)


def regular_polygon(corners: int, radius: float, rotation: float = 0.0) -> Array:
    """Outline ``[corners, 2]`` of a regular polygon with the given circumradius."""
    angle = np.arange(corners) * 2 * np.pi / corners + rotation
    return np.c_[radius * np.cos(angle), radius * np.sin(angle)]


def rounded_rectangle(width: float, height: float, radius: float, steps: int = 10) -> Array:
    """Outline of a rectangle about the origin with rounded corners."""
    x, y = width / 2, height / 2
    return fillet([(x, -y, radius), (x, y, radius), (-x, y, radius), (-x, -y, radius)], steps)


def fillet(outline: ArrayLike, steps: int = 8) -> Array:
    """Round the corners of a closed outline.

    Args:
        outline: ``[n, 3]``, a corner's position and its radius; radius 0 keeps the corner sharp.
        steps: segments of a quarter circle.
    """
    points = np.asarray(outline, float)
    result = []
    for index, (*corner, radius) in enumerate(points):
        corner = np.asarray(corner)
        before, after = points[index - 1, :2] - corner, points[(index + 1) % len(points), :2] - corner
        length_before, length_after = np.linalg.norm(before), np.linalg.norm(after)
        before, after = before / length_before, after / length_after
        angle = np.arccos(np.clip(before @ after, -1, 1))
        if radius <= 0 or np.pi - angle < 1e-3:
            result.append(corner[None])
            continue
        tangent = min(radius / np.tan(angle / 2), 0.48 * length_before, 0.48 * length_after)
        radius = tangent * np.tan(angle / 2)
        bisector = (before + after) / np.linalg.norm(before + after)
        center = corner + bisector * radius / np.sin(angle / 2)
        start, end = corner + before * tangent - center, corner + after * tangent - center
        first = np.arctan2(start[1], start[0])
        turn = (np.arctan2(end[1], end[0]) - first + np.pi) % (2 * np.pi) - np.pi
        count = max(2, int(np.ceil(abs(turn) / (np.pi / 2) * steps)))
        arc = first + turn * np.linspace(0, 1, count + 1)
        result.append(center + radius * np.c_[np.cos(arc), np.sin(arc)])
    return np.concatenate(result)


def solid(vertices: Array, faces: Array) -> Manifold:
    """The solid bounded by a closed triangle mesh, turned outside out if need be."""
    vertices = np.ascontiguousarray(vertices, np.float32)
    faces = np.ascontiguousarray(faces, np.uint32)
    result = Manifold(Mesh(vert_properties=vertices, tri_verts=faces))
    if result.volume() < 0:
        result = Manifold(Mesh(vert_properties=vertices, tri_verts=np.ascontiguousarray(faces[:, ::-1])))
    return result


def join(solids: list[Manifold]) -> Manifold:
    """The union of solids."""
    return Manifold.batch_boolean(solids, OpType.Add)


def revolve(profile: ArrayLike, segments: int = 160) -> Manifold:
    """Turn a closed profile ``[n, 2]`` of (radius, height) about the z axis."""
    return CrossSection([np.asarray(profile, float)[:, :2].tolist()]).revolve(segments)


def _outward(outline: Array) -> Array:
    """Offset of each corner that moves its two edges outward by one (mitre, limited at sharp corners)."""
    edge = np.roll(outline, -1, 0) - outline
    normal = np.c_[edge[:, 1], -edge[:, 0]]
    normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
    before = np.roll(normal, 1, 0)
    return (normal + before) / np.maximum(1 + (normal * before).sum(1, keepdims=True), 0.3)


def rounded_prism(
    outline: Array,
    bottom: float,
    top: float,
    top_radius: float = 0.0,
    bottom_radius: float = 0.0,
    steps: int = 5,
) -> Manifold:
    """Extrude an outline from ``bottom`` to ``top`` with rounded edges."""
    quarter = np.linspace(0, np.pi / 2, steps + 1)
    layers = [(0.0, bottom)]
    if bottom_radius > 0:
        layers = [(bottom_radius * (1 - np.sin(a)), bottom + bottom_radius * (1 - np.cos(a))) for a in quarter[:-1]]
    if top_radius > 0:
        layers += [(top_radius * (1 - np.cos(a)), top - top_radius * (1 - np.sin(a))) for a in quarter]
    else:
        layers.append((0.0, top))
    outward, count = _outward(outline), len(outline)
    vertices = np.concatenate([np.c_[outline - outward * inset, np.full(count, z)] for inset, z in layers])
    here = np.arange(count)
    there = (here + 1) % count
    faces = []
    for layer in range(len(layers) - 1):
        low, high = layer * count, (layer + 1) * count
        faces += [np.c_[low + here, low + there, high + there], np.c_[low + here, high + there, high + here]]
    lid = np.array(manifold3d.triangulate([vertices[-count:, :2].tolist()]))
    floor = np.array(manifold3d.triangulate([vertices[:count, :2].tolist()]))
    faces += [lid + (len(layers) - 1) * count, floor[:, ::-1]]
    return solid(vertices, np.concatenate(faces))


def helix(profile: ArrayLike, pitch: float, turns: float, start: float, segments: int = 64) -> Manifold:
    """Sweep a closed profile ``[n, 2]`` of (radius, height) along a helix about the z axis."""
    profile = np.asarray(profile, float)
    corners, steps = len(profile), int(turns * segments)
    angle = np.arange(steps + 1) * 2 * np.pi / segments
    lift = angle / (2 * np.pi) * pitch + start
    vertices = np.stack(
        [
            profile[None, :, 0] * np.cos(angle)[:, None],
            profile[None, :, 0] * np.sin(angle)[:, None],
            profile[None, :, 1] + lift[:, None],
        ],
        -1,
    ).reshape(-1, 3)
    return solid(vertices, _tube_faces(steps + 1, corners))


def tube(path: Array, radius: float, corners: int = 8) -> tuple[Array, Array]:
    """Vertices and faces of a round thread along ``path [n, 3]``, thinner at its ends."""
    count = len(path)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    side = np.cross(tangent, [0.0, 0.0, 1.0])
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-6)
    above = np.cross(side, tangent)
    angle = np.arange(corners) * 2 * np.pi / corners
    steps = np.arange(count)
    taper = np.clip(np.minimum(steps, steps[::-1]) / 3, 0.15, 1)[:, None, None]
    ring = np.cos(angle)[None, :, None] * side[:, None] + np.sin(angle)[None, :, None] * above[:, None]
    return (path[:, None] + taper * radius * ring).reshape(-1, 3), _tube_faces(count, corners)


def _tube_faces(rings: int, corners: int) -> Array:
    ring, corner = np.meshgrid(np.arange(rings - 1), np.arange(corners), indexing="ij")
    a = ring * corners + corner
    b = ring * corners + (corner + 1) % corners
    wall = np.concatenate([np.stack([a, b, b + corners], -1), np.stack([a, b + corners, a + corners], -1)])
    fan = np.stack([np.zeros(corners - 2, int), np.arange(1, corners - 1), np.arange(2, corners)], -1)
    return np.concatenate([wall.reshape(-1, 3), fan[:, ::-1], fan + (rings - 1) * corners])


@lru_cache(maxsize=64)
def text_outline(text: str, height: float) -> CrossSection:
    """The outline of a text, centred; ``height`` is that of its bounding box.

    Uses the font that Pillow carries, so that no font file of the machine decides how a part looks.
    """
    size = 160
    font = ImageFont.load_default(size=size)
    image = Image.new("L", (int(font.getlength(text)) + 2 * size, 2 * size), 0)
    ImageDraw.Draw(image).text((size, size // 2), text, fill=255, font=font, stroke_width=4)
    gray = np.pad(np.asarray(image, float) / 255, 2)
    lines = [np.asarray(line)[:-1] for line in contourpy.contour_generator(z=gray).lines(0.5)]
    polygons = [(line * (1, -1)).tolist() for line in lines if len(line) > 8]
    outline = CrossSection(polygons, FillRule.EvenOdd).simplify(0.6)
    left, low, right, high = outline.bounds()
    scale = height / (high - low)
    return outline.translate((-(left + right) / 2, -(low + high) / 2)).scale((scale, scale))


# The library reports what is still there when the interpreter ends, as leaks.
atexit.register(text_outline.cache_clear)
