"""The two attention modules of MVANet: where the object is, and where its details are."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiflow.foreground.mvanet.patches import (
    join_quadrants,
    pooled_tokens,
    split_quadrants,
    to_map,
    to_tokens,
)

__all__ = ["ComplementaryLocalization", "ComplementaryRefinement", "sine_positions"]

# Round halves to even, as the released code's round() does: h = 20 is pooled to 20, 5 and 2.
_LOCALIZATION_POOLS = (1, 4, 8)
_REFINEMENT_POOLS = (2, 4, 8)


class _ViewAttention(nn.Module):
    """What both modules share: attentions of one head, and the local views' feed-forward after them."""

    def __init__(self, channels: int, hidden: int, attentions: int) -> None:
        super().__init__()
        self.attention = nn.ModuleList(nn.MultiheadAttention(channels, 1, batch_first=True) for _ in range(attentions))
        self.linear3 = nn.Linear(channels, hidden)
        self.linear4 = nn.Linear(hidden, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)

    def _attend(self, index: int, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        attended: Tensor = self.attention[index](query, key, value, need_weights=False)[0]
        return attended

    def _attend_locally(self, local: Tensor, keys: Iterable[Tensor], first: int) -> Tensor:
        """Each of the local views [B, 4, N, C] with its own attention and keys [B, M, C]; then the feed-forward."""
        attended = [self._attend(first + index, local[:, index], key, key) for index, key in enumerate(keys)]
        local = self.norm1(local + torch.stack(attended, dim=1))
        return self.norm2(local + self.linear4(F.relu(self.linear3(local))))


class ComplementaryLocalization(_ViewAttention):
    """MCLM: the global view attends to all local views, pooled; then each local view to its part of the global one.

    Maps come in groups of five per image: the four local views, then the global one.
    """

    def __init__(self, channels: int = 128, hidden: int = 256) -> None:
        super().__init__(channels, hidden, attentions=5)
        self.linear1 = nn.Linear(channels, hidden)
        self.linear2 = nn.Linear(hidden, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [5 B, C, h, h] from maps of the same shape."""
        views = maps.unflatten(0, (-1, 5))
        local, whole = views[:, :4], views[:, 4]
        size, channels = maps.shape[-1], maps.shape[1]
        pools = [round(size / ratio) for ratio in _LOCALIZATION_POOLS]
        pooled = pooled_tokens(join_quadrants(local), pools)
        positions = torch.cat([sine_positions(pool, channels).to(maps) for pool in pools])
        tokens = to_tokens(whole)
        query = tokens + sine_positions(size, channels).to(maps)
        tokens = self.norm1(tokens + self._attend(0, query, pooled + positions, pooled))
        # The norms are those of the local views.
        tokens = self.norm2(tokens + self.linear2(F.relu(self.linear1(tokens))))
        whole = to_map(tokens, size)
        parts = to_tokens(split_quadrants(whole)).unbind(1)
        refined = to_map(self._attend_locally(to_tokens(local), parts, first=1), size)
        return torch.cat([refined, whole[:, None]], dim=1).flatten(0, 1)


class ComplementaryRefinement(_ViewAttention):
    """MCRM: local views, weighted by the global view's saliency, attend to it; then the global view takes them up."""

    def __init__(self, channels: int = 128, hidden: int = 256) -> None:
        super().__init__(channels, hidden, attentions=4)
        self.sal_conv = nn.Conv2d(channels, 1, 1)

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [5 B, C, h, h] from maps of the same shape."""
        views = maps.unflatten(0, (-1, 5))
        local, whole = views[:, :4], views[:, 4]
        size = maps.shape[-1]
        saliency = F.interpolate(torch.sigmoid(self.sal_conv(whole)), scale_factor=2, mode="nearest")
        local = local * split_quadrants(saliency)
        pools = [round(size / ratio) for ratio in _REFINEMENT_POOLS]
        parts = [pooled_tokens(part, pools) for part in split_quadrants(whole).unbind(1)]
        refined = to_map(self._attend_locally(to_tokens(local), parts, first=0), size)
        whole = whole + join_quadrants(refined)[..., ::2, ::2]
        return torch.cat([refined, whole[:, None]], dim=1).flatten(0, 1)


def sine_positions(size: int, channels: int) -> Tensor:
    """Position encoding [size * size, channels] of a square map: half of the channels for y, half for x."""
    half = channels // 2
    frequencies = 1e4 ** (2 * torch.div(torch.arange(half), 2, rounding_mode="floor") / half)
    coordinates = (torch.arange(size) + 0.5) / (size + 1e-6) * (2 * math.pi)
    angles = coordinates[:, None] / frequencies
    axis = torch.stack([angles[:, 0::2].sin(), angles[:, 1::2].cos()], dim=2).flatten(1)
    rows = axis[:, None].expand(size, size, half)
    columns = axis[None].expand(size, size, half)
    return torch.cat([rows, columns], dim=2).flatten(0, 1)
