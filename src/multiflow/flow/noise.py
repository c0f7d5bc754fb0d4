"""Noise that is added to the features in training and given to the flow as its condition."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    shape: Sequence[int],
    *,
    standard_deviation: float = SIMPLENET_STANDARD_DEVIATION,
    softflow_exponent: float = 1.0,
    condition_scale: float = 1.0,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Tensor | None, Tensor | None]:
    """Return the noise and the condition for one batch (paper equation 6 and section 4.7).

    Args:
        kind: ``simplenet`` is normal with a fixed standard deviation; ``softflow`` is normal with the
            standard deviation c ** softflow_exponent, c uniform in [0, 1) once per sample; ``uniform``
            is in [0, 1); ``none`` has neither noise nor condition.
        shape: batch, height and width for one map per sample, the same for all its channels and views, as in the
            released code; that of the features, ``[B, V, C, H, W]``, for a value per feature, as equation 6 can
            be read.
        standard_deviation: of ``simplenet``: sqrt(0.15) in the paper, 0.15 in the released code.
        softflow_exponent: 1 in the paper, 2 in the released code.
        condition_scale: the condition is the noise times this value: 1 in the paper, 20 in the released code.
        generator: source of the random numbers, on the CPU so that all devices see the same noise.

    Returns:
        Noise and condition, both ``[B, 1, H, W]`` or ``[B, V, C, H, W]``, or twice none.

    Raises:
        InputError: an unknown kind.
    """
    if kind not in get_args(NoiseKind):
        raise InputError(f"noise: kind: expected one of {', '.join(get_args(NoiseKind))}, found {kind!r}")
    if kind == "none":
        return None, None
    size = (shape[0], 1, *shape[1:]) if len(shape) == 3 else tuple(shape)
    if kind == "uniform":
        noise = torch.rand(size, generator=generator)
    elif kind == "softflow":
        one_per_sample = (size[0], *[1] * (len(size) - 1))
        deviation = torch.rand(one_per_sample, generator=generator) ** softflow_exponent
        noise = deviation * torch.randn(size, generator=generator)
    else:
        noise = standard_deviation * torch.randn(size, generator=generator)
    noise = noise.to(device)
    return noise, condition_scale * noise


def add_noise(features: Tensor, noise: Tensor | None) -> Tensor:
    """Return features ``[B, V, C, H, W]`` with the noise, a ``[B, 1, H, W]`` on every view and channel."""
    if noise is None:
        return features
    return features + (noise.unsqueeze(1) if noise.ndim == 4 else noise)
