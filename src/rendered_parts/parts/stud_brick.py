"""A plastic toy brick with embossed studs."""

from __future__ import annotations

import numpy as np

from rendered_parts.geometry import (
    circle,
    join,
    revolve,
    rounded_prism,
    rounded_rectangle,
    text_outline,
)
from rendered_parts.parts.base import Component, Part, PartClass, jitter

__all__ = ["STUD_BRICK"]

_COLUMNS, _ROWS, _PITCH = 3, 2, 0.64
_STUDS = tuple((column, row) for column in range(_COLUMNS) for row in range(_ROWS))


def _build(rng: np.random.Generator, missing: str | None) -> Part:
    pitch = _PITCH * jitter(rng, 0.006)
    width, depth, height = _COLUMNS * pitch, _ROWS * pitch, 0.72 * jitter(rng, 0.015)
    stud_radius, stud_height = 0.195 * jitter(rng, 0.015), 0.15 * jitter(rng, 0.04)
    color = np.array([0.68, 0.04, 0.03]) * jitter(rng, 0.06) * (1, jitter(rng, 0.2), jitter(rng, 0.2))
    roughness = 0.26 * jitter(rng, 0.10)
    letters = text_outline("MFB", 0.125).extrude(0.022).as_original()
    paint = {letters.original_id(): (1.3, roughness)}  # raised letters are rubbed a little brighter
    solids = [
        rounded_prism(
            rounded_rectangle(width, depth, 0.045, 6),
            0,
            height,
            top_radius=0.035,
            bottom_radius=0.012,
            steps=6,
        )
    ]
    for column, row in _STUDS:
        place = ((column - (_COLUMNS - 1) / 2) * pitch, (row - (_ROWS - 1) / 2) * pitch, 0.0)
        if missing == f"stud {column} {row}":
            # A torn-off stud leaves a shallow crater with a rim.
            rim = [
                (0.13, height - 0.02),
                (0.17, height - 0.02),
                (0.165, height + 0.012),
                (0.14, height + 0.005),
            ]
            solids.append(revolve(rim, 48).translate(place))
            continue
        stud = rounded_prism(circle(stud_radius, 64), height - 0.02, height + stud_height, top_radius=0.028, steps=6)
        if missing != f"text {column} {row}":
            stud = stud + letters.translate((0, 0, height + stud_height - 0.0005))
        solids.append(stud.translate(place))
    body = Component("brick", join(solids), color, roughness, crease=40, paint=paint)
    return Part([body], height + stud_height)


STUD_BRICK = PartClass(
    name="stud_brick",
    build=_build,
    features=(
        *(f"stud {column} {row}" for column, row in _STUDS),
        *(f"text {column} {row}" for column, row in _STUDS),
    ),
    defects=("QS", "HS", "YW", "AK", "ZW", "BX"),
    mirrored=(True, False, False, True, False),
)
