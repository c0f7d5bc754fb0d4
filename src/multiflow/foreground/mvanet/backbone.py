"""The Swin-B of MVANet: timm's modules, but maps are padded before they are shifted, as in the original Swin.

timm's own forward pass shifts first. Where a map is not a multiple of the window, that gives other values: up to
half of their norm at 512 px. The modules are the same, so only the passage through them is written here.
"""

from __future__ import annotations

from typing import Any

import timm
import torch
import torch.nn.functional as F
from timm.models.swin_transformer import window_partition, window_reverse
from torch import Tensor, nn

__all__ = ["SwinBackbone"]

_WINDOW = 12


class SwinBackbone(nn.Module):
    """Swin-B with window 12: five maps of every image, those of its stages before they are merged."""

    def __init__(self) -> None:
        super().__init__()
        model: Any = timm.create_model(
            "swin_base_patch4_window12_384",
            pretrained=False,
            num_classes=0,
            # The windows stay shifted even where one covers the whole map.
            always_partition=True,
            strict_img_size=False,
        )
        self.patch_embed: nn.Module = model.patch_embed
        self.layers: nn.Sequential = model.layers
        for index, stage in enumerate(model.layers):
            self.add_module(f"norm{index}", nn.LayerNorm(stage.blocks[0].dim))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Maps of normalised images [B, 3, S, S]; S is a multiple of 32.

        Returns:
            The patch embedding [B, 128, S/4, S/4] and the stages' outputs [B, 128, S/4, S/4],
            [B, 256, S/8, S/8], [B, 512, S/16, S/16], [B, 1024, S/32, S/32].
        """
        x = self.patch_embed(images)
        maps = [x]
        stages: Any = self.layers
        for index, stage in enumerate(stages):
            x = stage.downsample(x)
            for block in stage.blocks:
                x = x + _window_attention(block, block.norm1(x))
                x = x + block.mlp(block.norm2(x))
            maps.append(self.get_submodule(f"norm{index}")(x))
        return [map_.permute(0, 3, 1, 2).contiguous() for map_ in maps]


def _window_attention(block: Any, x: Tensor) -> Tensor:
    """Attention in the windows of a Swin block for maps [B, H, W, C]: pad, shift, attend, shift back, crop."""
    height, width, channels = x.shape[1:]
    x = F.pad(x, (0, 0, 0, -width % _WINDOW, 0, -height % _WINDOW))
    shift = block.shift_size
    if any(shift):
        x = torch.roll(x, (-shift[0], -shift[1]), (1, 2))
    mask = block.get_attn_mask(x)  # none without a shift
    windows = window_partition(x, (_WINDOW, _WINDOW)).flatten(1, 2)
    windows = block.attn(windows, mask=mask).view(-1, _WINDOW, _WINDOW, channels)
    x = window_reverse(windows, (_WINDOW, _WINDOW), x.shape[1], x.shape[2])
    if any(shift):
        x = torch.roll(x, shift, (1, 2))
    return x[:, :height, :width]
