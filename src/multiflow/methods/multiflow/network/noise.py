"""Noise that is added to the features in training and given to the flow as its condition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from multiflow.methods.multiflow.settings import Network

__all__ = ["add_noise", "condition_shape", "sample_noise"]


def condition_shape(settings: Network, shape: Sequence[int]) -> tuple[int, ...] | None:
    """Return the shape of the noise and condition of features ``[B, V, C, H, W]``; None without noise.

    It is ``[B, 1, H, W]`` for one map per sample, the same for all its channels and views, as in the released code, or
    that of the features for a value per feature, as equation 6 can be read.
    """
    if settings.noise == "none":
        return None
    batch, _, _, height, width = shape
    return tuple(shape) if settings.noise_shape == "features" else (batch, 1, height, width)


def sample_noise(
    settings: Network,
    shape: Sequence[int],
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> tuple[Tensor | None, Tensor | None]:
    """Return the noise and the condition for one batch (paper equation 6 and section 4.7).

    ``simplenet`` is normal with a fixed standard deviation; ``softflow`` is normal with the standard deviation
    c ** softflow_exponent, c uniform in [0, 1) once per sample; ``uniform`` is in [0, 1).

    Args:
        settings: kind and shape of the noise, its standard deviation, the condition's scale.
        shape: that of the features, ``[B, V, C, H, W]``.
        generator: source of the random numbers, which are drawn on its device: on the CPU, also without one, they are
            the same for all devices.
        device: where both are returned.

    Returns:
        Noise and condition, both of `condition_shape`, or twice none.
    """
    size = condition_shape(settings, shape)
    if size is None:
        return None, None
    drawn: dict[str, Any] = {"generator": generator, "device": "cpu" if generator is None else generator.device}
    if settings.noise == "uniform":
        noise = torch.rand(size, **drawn)
    elif settings.noise == "softflow":
        one_per_sample = (size[0], *[1] * (len(size) - 1))
        deviation = torch.rand(one_per_sample, **drawn) ** settings.softflow_exponent
        noise = deviation * torch.randn(size, **drawn)
    else:
        noise = settings.noise_std * torch.randn(size, **drawn)
    noise = noise.to(device)
    return noise, settings.condition_scale * noise


def add_noise(features: Tensor, noise: Tensor | None) -> Tensor:
    """Return features ``[B, V, C, H, W]`` with the noise, a ``[B, 1, H, W]`` on every view and channel."""
    if noise is None:
        return features
    return features + (noise.unsqueeze(1) if noise.ndim == 4 else noise)
