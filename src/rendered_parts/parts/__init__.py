"""The part classes that can be rendered."""

from __future__ import annotations

from rendered_parts.parts.base import Component, Part, PartClass
from rendered_parts.parts.coin_cell import COIN_CELL
from rendered_parts.parts.flange_nut import FLANGE_NUT
from rendered_parts.parts.screw_cap import SCREW_CAP
from rendered_parts.parts.stud_brick import STUD_BRICK

__all__ = ["PARTS", "Component", "Part", "PartClass"]

PARTS: dict[str, PartClass] = {part.name: part for part in (STUD_BRICK, COIN_CELL, FLANGE_NUT, SCREW_CAP)}
"""By class name, every part class; none bears the name of a class of Real-IAD."""
