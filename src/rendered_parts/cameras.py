"""The rig: camera C1 looks from above, C2 to C5 from around, as in Real-IAD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rendered_parts.geometry import Array

__all__ = ["CAMERAS", "FIELD_OF_VIEW", "Camera"]

FIELD_OF_VIEW = 20.0
"""Full angle of view of each camera, degrees."""

_DISTANCE = 8.0
_ELEVATION = 42.0


@dataclass(frozen=True)
class Camera:
    """A camera that looks at the point (0, 0, height) from a direction given in degrees."""

    name: str
    azimuth: float
    elevation: float

    def position(self, height: float) -> Array:
        """Where the camera stands, ``[3]``."""
        azimuth, elevation = np.radians(self.azimuth), np.radians(self.elevation)
        direction = [
            np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)
        ]  # fmt: skip
        return np.array([0.0, 0.0, height]) + _DISTANCE * np.array(direction)

    def axes(self) -> tuple[Array, Array, Array]:
        """Unit vectors right, up (in the image) and forward."""
        azimuth = np.radians(self.azimuth)
        forward = self.position(0.0) / -_DISTANCE
        above = self.elevation > 85
        up = np.array([-np.cos(azimuth), -np.sin(azimuth), 0.0]) if above else np.array([0.0, 0.0, 1.0])
        right = np.cross(forward, up)
        right /= np.linalg.norm(right)
        return right, np.cross(right, forward), forward

    def project(self, points: Array, height: float, size: int) -> Array:
        """Pixel coordinates ``[n, 2]`` (x to the right, y down) of ``points [n, 3]``."""
        right, up, forward = self.axes()
        relative = points - self.position(height)
        scale = size / 2 / np.tan(np.radians(FIELD_OF_VIEW / 2)) / (relative @ forward)
        return np.c_[size / 2 + relative @ right * scale, size / 2 - relative @ up * scale]

    def ground_points(self, height: float, size: int) -> Array:
        """Where the rays through the pixel centres meet the plane z = 0, ``[size, size, 2]``."""
        right, up, forward = self.axes()
        offset = ((np.arange(size) + 0.5) / size * 2 - 1) * np.tan(np.radians(FIELD_OF_VIEW / 2))
        ray = forward + offset[None, :, None] * right - offset[:, None, None] * up
        origin = self.position(height)
        return origin[:2] + ray[..., :2] * (-origin[2] / ray[..., 2:])


CAMERAS = (
    Camera("C1", 0.0, 90.0),
    Camera("C2", 0.0, _ELEVATION),
    Camera("C3", 90.0, _ELEVATION),
    Camera("C4", 180.0, _ELEVATION),
    Camera("C5", 270.0, _ELEVATION),
)
