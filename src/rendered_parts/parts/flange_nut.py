"""A zinc-plated flange nut: hexagon, inner thread, radial serration, embossed grade."""

from __future__ import annotations

import numpy as np
from manifold3d import Manifold

from rendered_parts.geometry import (
    fillet,
    helix,
    join,
    regular_polygon,
    revolve,
    rounded_prism,
    text_outline,
)
from rendered_parts.parts.base import Component, Part, PartClass, jitter

__all__ = ["FLANGE_NUT"]

_TEETH = 48
_PITCH = 0.13


def _build(rng: np.random.Generator, missing: str | None) -> Part:
    height, flats = 0.62 * jitter(rng, 0.02), 1.36 * jitter(rng, 0.008)
    bore = 0.42 * jitter(rng, 0.01)
    flange = 0.98 * jitter(rng, 0.008)
    color = np.array([0.62, 0.60, 0.52]) * jitter(rng, 0.05) * (1, 1, jitter(rng, 0.05))
    roughness = 0.36 * jitter(rng, 0.08)
    corner = flats / np.sqrt(3)
    hexagon = rounded_prism(
        fillet(np.c_[regular_polygon(6, corner, np.pi / 6), np.full(6, 0.06)]),
        0.10,
        height,
        top_radius=0.03,
        steps=4,
    )
    chamfer = revolve(
        fillet(
            [
                (0, 0, 0), (corner * 1.2, 0, 0), (corner * 1.2, height - 0.20, 0),
                (corner * 0.93, height - 0.02, 0.05), (corner * 0.86, height + 0.05, 0),
                (0, height + 0.05, 0),
            ],
            5,
        ),
        128,
    )  # fmt: skip
    disc = revolve(
        fillet([(0, 0, 0), (flange, 0, 0.02), (flange, 0.085, 0.03), (0.80, 0.155, 0.05), (0, 0.16, 0)], 6),
        160,
    )
    body = (hexagon ^ chamfer) + disc
    teeth = [
        Manifold.cube((0.09, 0.030, 0.2), True).translate((flange, 0, 0.06)).rotate((0, 0, 360 / _TEETH * tooth))
        for tooth in range(_TEETH)
        if not (missing == "serration" and tooth < 9)
    ]
    hole = revolve([(0, -0.1), (bore, -0.1), (bore, height + 0.1), (0, height + 0.1)], 96)
    mouth = revolve([(0, height - 0.06), (bore, height - 0.06), (bore + 0.10, height + 0.04), (0, height + 0.04)], 96)
    body = body - join(teeth) - hole - mouth
    if missing != "thread":
        tooth = [(bore + 0.02, -0.062), (bore + 0.02, 0.062), (bore - 0.07, 0.01), (bore - 0.07, -0.01)]
        thread = helix(tooth, _PITCH, height / _PITCH + 1.2, -0.1)
        room = revolve([(0, 0.03), (bore + 0.05, 0.03), (bore + 0.05, height - 0.075), (0, height - 0.075)], 64)
        body = body + (thread ^ room)
    paint = {}
    if missing != "grade":
        grade = text_outline("10K", 0.20).extrude(0.05).translate((0, 0, -0.025)).as_original()
        paint[grade.original_id()] = (1.15, roughness)
        # On a face of the hexagon, upright.
        grade = grade.rotate((90, 0, 0)).translate((0, -flats / 2, 0.375))
        body = body + grade.rotate((0, 0, 30)) + grade.rotate((0, 0, 150)) + grade.rotate((0, 0, 270))
    return Part([Component("nut", body, color, roughness, True, 35, paint=paint)], height)


FLANGE_NUT = PartClass(
    name="flange_nut",
    build=_build,
    features=("serration", "grade", "thread"),
    defects=("PS", "QS", "ZW", "CH", "YW", "HS"),
    mirrored=(False, False, True, True, True),
)
