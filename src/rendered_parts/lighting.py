"""Three soft boxes in a bright room, as an environment map."""

from __future__ import annotations

import numpy as np

from rendered_parts.appearance import Appearance
from rendered_parts.geometry import Array

__all__ = ["environment_map", "irradiance"]

_HEIGHT = 64
_LIGHTS = (
    # direction, half width and half height (radians), softness of the edge, radiance: key, fill, rim
    ((0.5, -0.3, 1.0), 0.42, 0.30, 0.03, (7.5, 7.4, 7.2)),
    ((-1.0, 0.7, 0.75), 0.28, 0.45, 0.04, (3.2, 3.3, 3.5)),
    ((0.1, 1.1, 0.45), 0.50, 0.12, 0.03, (1.5, 1.5, 1.55)),
)


def environment_map(appearance: Appearance) -> Array:
    """Radiance ``[64, 128, 3]`` of the surroundings, in Mitsuba's latitude and longitude (first row: up)."""
    width = 2 * _HEIGHT
    polar = (np.arange(_HEIGHT)[:, None] + 0.5) / _HEIGHT * np.pi
    azimuth = (np.arange(width)[None] + 0.5) / width * 2 * np.pi
    # Mitsuba's map has y up and is turned by 90 degrees about x in the scene.
    direction = np.stack(
        np.broadcast_arrays(np.sin(azimuth) * np.sin(polar), np.cos(azimuth) * np.sin(polar), np.cos(polar)),
        -1,
    )
    up = direction[..., 2:]
    *factors, room = appearance.light_factors
    radiance = np.where(up > 0, 0.30 * room + 0.25 * np.clip(up, 0, 1) ** 1.5, 0.26) * np.ones(3)
    turn = np.radians(appearance.light_turn)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    for (toward, half_width, half_height, softness, color), factor in zip(_LIGHTS, factors, strict=True):
        axis = rotation @ np.array(toward)
        axis /= np.linalg.norm(axis)
        across = np.cross([0.0, 0.0, 1.0], axis)
        across /= np.linalg.norm(across)
        along = direction @ axis
        horizontal = np.arctan2(direction @ across, along)
        vertical = np.arctan2(direction @ np.cross(axis, across), along)
        box = (along > 0) / (1 + np.exp((np.abs(horizontal) - half_width) / softness))
        box = box / (1 + np.exp((np.abs(vertical) - half_height) / softness))
        radiance += box[..., None] * np.array(color) * factor
    return radiance.astype(np.float32)


def irradiance(environment: Array) -> Array:
    """Light ``[3]`` that an unshadowed horizontal surface receives from an environment map."""
    height, width = environment.shape[:2]
    polar = (np.arange(height) + 0.5) / height * np.pi
    weight = np.clip(np.cos(polar), 0, None) * np.sin(polar) * (np.pi / height) * (2 * np.pi / width)
    return (environment * weight[:, None, None]).sum((0, 1))
