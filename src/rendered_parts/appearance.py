"""What differs between normal samples beside the part: pose, light, surface finish, backdrop, camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rendered_parts.geometry import Array

__all__ = ["Appearance", "draw_appearance"]


@dataclass(frozen=True)
class Appearance:
    """The circumstances of one sample, the same for its five views.

    Attributes:
        yaw: turn of the part on the table, degrees.
        offset: its place on the table, ``[2]``.
        light_turn: turn of all lights about the part, degrees.
        light_factors: brightness of key, fill, rim light and surroundings, ``[4]``.
        white_balance: gain of red, green and blue, ``[3]``.
        exposure: gain of all channels.
        backdrop: albedo of the table, ``[3]``.
        grain: how much the fine structure turns the surface normal.
        mottle: relative strength of the slow variation of the colour.
        dust: density of the dust specks on the part, 0 to 1.
        dirt: number of fibres and of specks on the table.
        texture_offset: which piece of the surface texture the part got, ``[2]``.
    """

    yaw: float
    offset: Array
    light_turn: float
    light_factors: Array
    white_balance: Array
    exposure: float
    backdrop: Array
    grain: float
    mottle: float
    dust: float
    dirt: tuple[int, int]
    texture_offset: Array


def draw_appearance(rng: np.random.Generator, yaw: float) -> Appearance:
    """Draw the circumstances of a sample about a nominal yaw."""

    def about(spread: float, count: int | None = None) -> Array:
        return spread * np.clip(rng.normal(size=count), -2.2, 2.2)

    gray = 0.70 * (1 + about(0.05))
    return Appearance(
        yaw=float(yaw + about(6.0)),
        offset=about(0.04, 2),
        light_turn=float(about(9.0)),
        light_factors=1 + about(1.0, 4) * (0.09, 0.12, 0.14, 0.08),
        white_balance=1 + about(1.0, 3) * (0.015, 0.0, 0.02),
        exposure=float(1 + about(0.04)),
        backdrop=gray * (1 + about(0.008, 3)),
        grain=float(rng.uniform(0.012, 0.035)),
        mottle=float(rng.uniform(0.01, 0.05)),
        dust=float(0.7 * rng.uniform() ** 2),
        dirt=(int(rng.integers(6, 30)), int(rng.integers(20, 90))),
        texture_offset=rng.random(2),
    )
