"""Quadrants of maps, and maps as tokens."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["join_quadrants", "pooled_tokens", "resize", "split_quadrants", "to_map", "to_tokens"]


def split_quadrants(maps: Tensor) -> Tensor:
    """Quadrants [B, 4, C, H/2, W/2] of maps [B, C, H, W]: top left, top right, bottom left, bottom right."""
    batch, channels, height, width = maps.shape
    halves = maps.reshape(batch, channels, 2, height // 2, 2, width // 2)
    return halves.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)


def join_quadrants(quadrants: Tensor) -> Tensor:
    """Maps [B, C, 2h, 2w] of quadrants [B, 4, C, h, w]; undoes :func:`split_quadrants`."""
    batch, _, channels, height, width = quadrants.shape
    halves = quadrants.reshape(batch, 2, 2, channels, height, width)
    return halves.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, 2 * height, 2 * width)


def to_tokens(maps: Tensor) -> Tensor:
    """Tokens [..., H * W, C] of maps [..., C, H, W], row by row."""
    return maps.flatten(-2).transpose(-1, -2)


def to_map(tokens: Tensor, height: int) -> Tensor:
    """Maps [..., C, H, W] of tokens [..., H * W, C]."""
    return tokens.transpose(-1, -2).unflatten(-1, (height, -1))


def pooled_tokens(maps: Tensor, sizes: Iterable[int]) -> Tensor:
    """Tokens [B, sum of n², C] of maps [B, C, H, W] that are averaged to n x n, for every size n in turn."""
    return torch.cat([to_tokens(F.adaptive_avg_pool2d(maps, size)) for size in sizes], dim=1)


def resize(maps: Tensor, size: int) -> Tensor:
    """Bilinear, not antialiased, to [B, C, size, size]."""
    if maps.shape[-2:] == (size, size):
        return maps
    return F.interpolate(maps, (size, size), mode="bilinear", align_corners=False)
