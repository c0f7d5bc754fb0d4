"""A ribbed bottle closure with an embossed lid and a tamper band."""

from __future__ import annotations

import numpy as np
from manifold3d import Manifold

from rendered_parts.geometry import fillet, join, revolve, rounded_prism, text_outline
from rendered_parts.parts.base import Component, Part, PartClass, jitter

__all__ = ["SCREW_CAP"]

_RIBS = 72
_BRIDGES = 12
_TEXTS = (("OPEN", 0.16), ("TWIST", -0.18))


def _build(rng: np.random.Generator, missing: str | None) -> Part:
    radius, height = 0.92 * jitter(rng, 0.008), 0.82 * jitter(rng, 0.015)
    color = np.array([0.03, 0.20, 0.075]) * jitter(rng, 0.10) * (jitter(rng, 0.2), 1, jitter(rng, 0.15))
    roughness = 0.34 * jitter(rng, 0.10)
    rib_depth = 0.035 * jitter(rng, 0.08)
    angle = np.arange(_RIBS * 10) * 2 * np.pi / (_RIBS * 10)
    wave = np.clip((0.5 + 0.5 * np.cos(angle * _RIBS)) * 1.6 - 0.3, 0, 1)
    ribs = np.c_[np.cos(angle), np.sin(angle)] * (radius + rib_depth * wave)[:, None]
    outer = radius + 0.004
    lid = revolve(
        fillet(
            [
                (0, 0.28, 0), (outer, 0.28, 0), (outer, height, 0.13), (radius - 0.17, height, 0.02),
                (radius - 0.20, height - 0.022, 0.02), (0, height - 0.022, 0),
            ]
        ),
        192,
    )  # fmt: skip
    solids = [
        rounded_prism(ribs, 0.30, height - 0.06, top_radius=0.02, bottom_radius=0.01, steps=2),
        lid,
        revolve([(0, 0.02), (radius - 0.05, 0.02), (radius - 0.05, 0.4), (0, 0.4)], 96),
    ]
    paint = {}  # raised letters are rubbed a little brighter
    for text, y in _TEXTS:
        if missing != f"text {text}":
            letters = text_outline(text, 0.20).extrude(0.05).translate((0, y, height - 0.042)).as_original()
            paint[letters.original_id()] = (1.3, roughness)
            solids.append(letters)
    for bridge in range(_BRIDGES):
        block = Manifold.cube((0.06, 0.05, 0.14), True).translate((radius - 0.035, 0, 0.275))
        if not (missing == "bridges" and bridge < 3):
            solids.append(block.rotate((0, 0, 360 / _BRIDGES * bridge)))
    if missing != "band":
        band = revolve(
            fillet(
                [
                    (radius - 0.08, 0, 0),
                    (radius + 0.025, 0, 0.02),
                    (radius + 0.02, 0.25, 0.02),
                    (radius - 0.08, 0.25, 0),
                ],
                4,
            ),
            192,
        )
        if missing == "band piece":
            band = band - Manifold.cube((0.4, 0.34, 0.6), True).translate((radius, 0, 0.1)).rotate((0, 0, 10))
        solids.append(band)
    return Part([Component("cap", join(solids), color, roughness, paint=paint)], height)


SCREW_CAP = PartClass(
    name="screw_cap",
    build=_build,
    features=("band piece", "text OPEN", "text TWIST", "bridges", "band"),
    defects=("BX", "QS", "YW", "HS", "ZW", "AK"),
    mirrored=(False, True, True, False, False),
)
