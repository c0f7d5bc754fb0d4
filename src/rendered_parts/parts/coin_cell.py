"""A button cell: brushed steel can, dark gasket, lathed cap with engraved text."""

from __future__ import annotations

import numpy as np
from manifold3d import Manifold

from rendered_parts.geometry import fillet, revolve, text_outline
from rendered_parts.parts.base import Component, Part, PartClass, jitter

__all__ = ["COIN_CELL"]

_TEXTS = (("LR44", 0.14, 0.26), ("1.5V", -0.26, 0.21))


def _build(rng: np.random.Generator, missing: str | None) -> Part:
    radius, height = 1.0 * jitter(rng, 0.008), 0.46 * jitter(rng, 0.02)
    steel = np.array([0.79, 0.775, 0.75]) * jitter(rng, 0.04)
    can_roughness, cap_roughness = 0.26 * jitter(rng, 0.08), 0.30 * jitter(rng, 0.08)
    gasket_color = np.array([0.035, 0.06, 0.11]) * jitter(rng, 0.15)
    cap_radius = 0.745 * jitter(rng, 0.008)
    rise = 0.095 * jitter(rng, 0.05)
    depth = 0.022

    can = fillet(
        [
            (0, 0, 0), (radius, 0, 0.07), (radius, height, 0.075), (radius - 0.115, height - 0.005, 0.012),
            (radius - 0.125, height - 0.06, 0.01), (0, height - 0.06, 0),
        ]
    )  # fmt: skip
    gasket = revolve(
        fillet(
            [
                (0.70, height - 0.07, 0), (radius - 0.118, height - 0.07, 0),
                (radius - 0.118, height - 0.012, 0.02), (cap_radius, height, 0.03),
            ],
            5,
        ),
        192,
    )  # fmt: skip
    top = height + rise
    cap = revolve(
        fillet(
            [
                (0, height - 0.075, 0), (cap_radius, height - 0.075, 0), (cap_radius, height + 0.01, 0.02),
                (cap_radius - 0.035, top, 0.05), (0, top, 0),
            ]
        ),
        192,
    )  # fmt: skip
    paint = {}
    for text, y, size in _TEXTS:
        if missing == f"text {text}":
            continue
        stamp = text_outline(text, size).translate((0, y)).extrude(0.2).translate((0, 0, top - depth))
        stamp = stamp.as_original()
        paint[stamp.original_id()] = (0.5, 0.5)
        cap = cap - stamp
    if missing == "gasket piece":
        gasket = gasket - Manifold.cube((0.42, 0.30, 0.4), True).translate((0.8, 0.25, height))
    components = [
        Component("can", revolve(can, 192), steel, can_roughness, True, 50, "cylinder"),
        Component("cap", cap, steel * 1.02, cap_roughness, True, 50, "lathe", paint),
    ]
    if missing != "gasket":
        components.append(Component("gasket", gasket, gasket_color, 0.42, False, 50, "cylinder"))
    return Part(components, top)


COIN_CELL = PartClass(
    name="coin_cell",
    build=_build,
    features=("gasket piece", "text LR44", "text 1.5V", "gasket"),
    defects=("AK", "HS", "QS", "YW", "ZW", "BX"),
    mirrored=(False, True, False, False, True),
    defect_scale=0.72,
)
