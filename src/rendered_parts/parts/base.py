"""What a part is made of, and how much it varies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from manifold3d import Manifold

from rendered_parts.geometry import Array

__all__ = ["Component", "Part", "PartClass", "jitter"]


def jitter(rng: np.random.Generator, spread: float) -> float:
    """A factor about 1 with the given relative standard deviation, cut off at two of them."""
    return 1 + spread * float(np.clip(rng.normal(), -2, 2))


@dataclass(frozen=True)
class Component:
    """One solid of one material.

    Attributes:
        name: what it is.
        body: the solid.
        color: linear RGB albedo, ``[3]``.
        roughness: square root of the GGX alpha.
        metal: whether the colour is that of the reflection.
        crease: edges sharper than this (degrees) stay sharp.
        mapping: how the surface's fine structure runs: box, cylinder, lathe.
        paint: by solid id of manifold3d (recessed text), a factor on the colour and a least roughness.
    """

    name: str
    body: Manifold
    color: Array
    roughness: float
    metal: bool = False
    crease: float = 38.0
    mapping: str = "box"
    paint: dict[int, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """One specimen: its components, standing on z = 0 about the z axis, and its height."""

    components: list[Component]
    height: float


@dataclass(frozen=True)
class PartClass:
    """A class of parts.

    Attributes:
        name: the class name, which is also the folder's.
        build: from a random generator (dimensions, colour) and the feature that is missing to a specimen;
            two calls with equal generators differ in the missing feature only.
        features: the features that may be missing.
        defects: Real-IAD's codes of the defects that this class has.
        mirrored: for each camera whether it delivers mirrored images, in all samples.
        defect_scale: factor on the size of all defects; chosen so that classes are about equally hard.
        yaw: how the part is turned on the table, degrees.
    """

    name: str
    build: Callable[[np.random.Generator, str | None], Part]
    features: tuple[str, ...]
    defects: tuple[str, ...]
    mirrored: tuple[bool, bool, bool, bool, bool]
    defect_scale: float = 1.0
    yaw: float = 25.0
