"""One specimen of a part on the table, with or without a defect: everything the renderer needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rendered_parts.appearance import Appearance, draw_appearance
from rendered_parts.cameras import CAMERAS, Camera
from rendered_parts.defects import SURFACE_DEFECTS, Site, SurfaceDefect, chip, foreign_object
from rendered_parts.geometry import Array, join
from rendered_parts.parts import Component, Part, PartClass
from rendered_parts.refinement import refine
from rendered_parts.sites import find_site
from rendered_parts.surface import Surface

__all__ = ["Layer", "Specimen", "make_specimen"]


@dataclass(frozen=True)
class Layer:
    """A surface with one material; values are given at the ``3 n`` triangle corners.

    Attributes:
        surface: in world coordinates.
        color: linear albedo, ``[3 n, 3]``.
        roughness: ``[3 n]``.
        metal: whether the colour is that of the reflection.
        defect: above 0.5 inside a defect, ``[3 n]``.
    """

    surface: Surface
    color: Array
    roughness: Array
    metal: bool
    defect: Array


@dataclass(frozen=True)
class Specimen:
    """What stands before the cameras.

    Attributes:
        layers: what is rendered.
        intact: the same part with nothing missing (for the ground truth of missing parts), or None.
        appearance: the circumstances.
        height: of the point that the cameras look at.
    """

    layers: list[Layer]
    intact: list[Surface] | None
    appearance: Appearance
    height: float


@dataclass(frozen=True)
class _Damage:
    """A part after a defect has been made: what changed."""

    part: Part
    intact: Part | None = None
    surface: SurfaceDefect | None = None
    broken: int | None = None
    added: tuple[Layer, ...] = ()


def make_specimen(
    part_class: PartClass, defect: str | None, rng: np.random.Generator, cameras: Sequence[Camera] = CAMERAS
) -> Specimen:
    """Draw a specimen of a class, normal (``defect`` None) or with a defect of the given code that a camera sees."""
    shape_seed, defect_rng = int(rng.integers(2**31)), np.random.default_rng(rng.integers(2**31))
    appearance = draw_appearance(rng, part_class.yaw)
    part = part_class.build(np.random.default_rng(shape_seed), None)
    turn = np.radians(appearance.yaw)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    translation = np.r_[appearance.offset, 0.0]
    height = 0.4 * part.height

    damage = _Damage(part)
    if defect is not None:
        damage = _damage(part_class, part, shape_seed, defect, (rotation, translation, height), defect_rng, cameras)
    layers = [_layer(component, damage, appearance) for component in damage.part.components]
    layers += damage.added
    placed = [
        Layer(
            layer.surface.transformed(rotation, translation),
            layer.color,
            layer.roughness,
            layer.metal,
            layer.defect,
        )
        for layer in layers
    ]
    intact = None
    if damage.intact is not None:
        intact = [_surface(c).transformed(rotation, translation) for c in damage.intact.components]
    return Specimen(placed, intact, appearance, height)


def _surface(component: Component) -> Surface:
    return Surface.of(component.body, component.crease, component.mapping)


def _damage(
    part_class: PartClass,
    part: Part,
    shape_seed: int,
    defect: str,
    pose: tuple[Array, Array, float],
    rng: np.random.Generator,
    cameras: Sequence[Camera],
) -> _Damage:
    """Make the defect of the given code."""
    whole = join([component.body for component in part.components])
    size, contrast = _strength(rng)
    size *= part_class.defect_scale
    if defect == "QS" and rng.random() < 0.75:
        missing = str(rng.choice(part_class.features))
        return _Damage(part_class.build(np.random.default_rng(shape_seed), missing), intact=part)
    point, normal, component = find_site(
        [_surface(c) for c in part.components], whole, pose, rng, _region(defect), cameras
    )
    site = Site(point, normal, part.components[component].metal, size, contrast)
    if defect == "QS":
        piece = chip(site, rng)
        rest = [Component(**{**vars(c), "body": c.body - piece}) for c in part.components]
        return _Damage(Part(rest, part.height), intact=part, broken=piece.original_id())
    if defect == "YW":
        found = foreign_object(site, whole, rng)
        corners = 3 * len(found.surface.positions)
        color = np.broadcast_to(found.color, (corners, 3))
        layer = Layer(found.surface, color, np.full(corners, found.roughness), False, np.ones(corners))
        return _Damage(part, added=(layer,))
    return _Damage(part, surface=SURFACE_DEFECTS[defect](site, rng))


def _strength(rng: np.random.Generator) -> tuple[float, float]:
    """Size and contrast of a defect: half of them small, half of them large."""
    small = rng.random() < 0.5
    size = rng.uniform(0.7, 0.95) if small else rng.uniform(1.0, 1.35)
    return float(size), float(rng.uniform(0.65, 1.0))


def _region(defect: str) -> str:
    """Where defects of a code arise: on the edge, on what faces up, or anywhere."""
    return {"BX": "edge", "QS": "edge", "YW": "top", "AK": "top"}.get(defect, "anywhere")


def _layer(component: Component, damage: _Damage, appearance: Appearance) -> Layer:
    """Colour, roughness and ground truth of a component, in the part's coordinates."""
    surface = _surface(component).shifted_texture(appearance.texture_offset)
    change = damage.surface
    if change is not None:
        surface = refine(surface, change.near, change.edge)
    corners = 3 * len(surface.positions)
    color = np.tile(component.color, (corners, 1))
    roughness = np.full(corners, component.roughness)
    defect = np.zeros(corners)
    if change is not None:
        hot = change.near(surface.centers, surface.radii)
        if hot.any():
            surface, values = _apply(change, surface, hot, component)
            color[np.repeat(hot, 3)], roughness[np.repeat(hot, 3)], defect[np.repeat(hot, 3)] = values
    for identity, (factor, least) in component.paint.items():
        painted = np.repeat(surface.origin == identity, 3)
        color[painted] *= factor
        roughness[painted] = np.maximum(roughness[painted], least)
    if damage.broken is not None:
        fracture = np.repeat(surface.origin == damage.broken, 3)
        color[fracture] = 0.85 * color[fracture] + 0.06
        roughness[fracture] = 0.75
    return Layer(surface, color, roughness, component.metal, defect)


def _apply(
    change: SurfaceDefect, surface: Surface, hot: Array, component: Component
) -> tuple[Surface, tuple[Array, Array, Array]]:
    """The surface with the change made, and colour, roughness and ground truth of the hot corners."""
    part = surface.select(hot)
    points, inverse = part.welded()
    color = np.tile(component.color, (len(points), 1))
    roughness = np.full(len(points), component.roughness)
    color = color if change.color is None else change.color(points, color)
    roughness = roughness if change.roughness is None else change.roughness(points, roughness)
    values = color[inverse], roughness[inverse], change.field(points)[inverse]
    if change.displacement is not None:
        moved = part.warped(change.displacement)
        positions, normals = surface.positions.copy(), surface.normals.copy()
        positions[hot], normals[hot] = moved.positions, moved.normals
        surface = Surface(positions, normals, surface.texture, surface.origin)
    return surface, values
