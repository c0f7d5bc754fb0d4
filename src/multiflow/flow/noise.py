"""Noise that is added to the features in training and given to the flow as its condition."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from multiflow.errors import InputError

__all__ = ["SIMPLENET_STANDARD_DEVIATION", "NoiseKind", "add_noise", "sample_noise"]

NoiseKind = Literal["none", "uniform", "softflow", "simplenet"]

SIMPLENET_STANDARD_DEVIATION = math.sqrt(0.15)
"""The paper's variance is 0.15 (section 4.3); the released code uses 0.15 as standard deviation."""


def sample_noise(
    kind: NoiseKind,
    shape: tuple[int, int, int],
    *,
    standard_deviation: float = SIMPLENET_STANDARD_DEVIATION,
    softflow_exponent: float = 1.0,
    condition_scale: float = 1.0,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Tensor | None, Tensor | None]:
    """Return the noise and the condition for one batch (paper equation 6 and section 4.7).

    One map per sample is shared by all its views and channels.

    Args:
        kind: ``simplenet`` is normal with a fixed standard deviation; ``softflow`` is normal with the
            standard deviation c ** softflow_exponent, c uniform in [0, 1) once per sample; ``uniform``
            is in [0, 1); ``none`` has neither noise nor condition.
        shape: batch, height and width.
        standard_deviation: of ``simplenet``: sqrt(0.15) in the paper, 0.15 in the released code.
        softflow_exponent: 1 in the paper, 2 in the released code.
        condition_scale: the condition is the noise times this value: 1 in the paper, 20 in the released code.
        generator: source of the random numbers, on the CPU so that all devices see the same noise.

    Returns:
        Noise and condition, both ``[B, 1, H, W]``, or twice none.

    Raises:
        InputError: an unknown kind.
    """
    if kind not in get_args(NoiseKind):
        raise InputError(f"noise: kind: expected one of {', '.join(get_args(NoiseKind))}, found {kind!r}")
    if kind == "none":
        return None, None
    batch, height, width = shape
    size = (batch, 1, height, width)
    if kind == "uniform":
        noise = torch.rand(size, generator=generator)
    elif kind == "softflow":
        deviation = torch.rand((batch, 1, 1, 1), generator=generator) ** softflow_exponent
        noise = deviation * torch.randn(size, generator=generator)
    else:
        noise = standard_deviation * torch.randn(size, generator=generator)
    noise = noise.to(device)
    return noise, condition_scale * noise


def add_noise(features: Tensor, noise: Tensor | None) -> Tensor:
    """Return features ``[B, V, C, H, W]`` with the noise ``[B, 1, H, W]`` on every view and channel."""
    return features if noise is None else features + noise.unsqueeze(1)
