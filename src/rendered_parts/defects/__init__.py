"""Defects, made in three dimensions and therefore consistent over the cameras."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rendered_parts.defects.base import Site, SurfaceDefect
from rendered_parts.defects.bodies import ForeignObject, chip, foreign_object
from rendered_parts.defects.lines import crack, scratch
from rendered_parts.defects.patches import abrasion, contamination, deformation, pit

__all__ = [
    "DEFECT_NAMES",
    "SURFACE_DEFECTS",
    "ForeignObject",
    "Site",
    "SurfaceDefect",
    "chip",
    "foreign_object",
]

DEFECT_NAMES = {
    "AK": "pit",
    "BX": "deformation",
    "CH": "abrasion",
    "HS": "scratch",
    "PS": "damage",
    "QS": "missing part",
    "YW": "foreign object",
    "ZW": "contamination",
}
"""Real-IAD's defect codes."""

SURFACE_DEFECTS: dict[str, Callable[[Site, np.random.Generator], SurfaceDefect]] = {
    "AK": pit,
    "BX": deformation,
    "CH": abrasion,
    "HS": scratch,
    "PS": crack,
    "ZW": contamination,
}
"""The codes whose defect is a change of the surface; QS and YW change the solids instead."""
