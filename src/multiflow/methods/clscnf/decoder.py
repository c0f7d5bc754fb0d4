"""The decoder of the classifier: from the encoder's three levels back to the size of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock
from torchvision.models.resnet import Bottleneck as TorchvisionBottleneck

__all__ = ["RECIPES", "Recipe", "SegmentationDecoder"]


class _Bottleneck(TorchvisionBottleneck):  # type: ignore[misc]
    """A bottleneck as wide as its output."""

    expansion = 2


@dataclass(frozen=True)
class Recipe:
    """How a decoder is built.

    Attributes:
        bottleneck: the kind of its blocks.
        restored: whether its second layer restores the channels of the deepest level, which the first one halves.
        blocks: number of blocks behind each of the first four upsamplings.
        head: channels before the last layer.
        upsampling: how maps are made larger.
    """

    bottleneck: bool
    restored: bool
    blocks: tuple[int, int, int, int]
    head: int
    upsampling: Literal["bilinear", "bicubic"]


RECIPES = {
    "basic": Recipe(False, True, (2, 2, 1, 1), 16, "bilinear"),
    "bottleneck": Recipe(True, False, (3, 6, 4, 3), 8, "bicubic"),
}
"""Those of the released code for a ResNet-18 and for a WideResNet-50."""

_CHANNELS = (256, 128, 64, 32)  # behind the blocks


class SegmentationDecoder(nn.Module):
    """Five times upsampled by two; the two shallower levels join by skip connections.

    Args:
        channels: of the encoder's levels of strides 8, 16 and 32.
        recipe: kind and number of layers.
    """

    def __init__(self, channels: tuple[int, int, int], recipe: Recipe) -> None:
        super().__init__()
        shallow, middle, deep = channels
        half = deep // 2
        inner = deep if recipe.restored else half
        self.recipe = recipe
        self.deepest = nn.Sequential(
            nn.Conv2d(deep, half, 1, bias=False),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, inner, 1, bias=False),
            nn.ReLU(inplace=True),
        )
        inputs = (middle + inner, shallow + _CHANNELS[0], *_CHANNELS[1:3])
        self.stages = nn.ModuleList(
            _stage(*stage, recipe.bottleneck) for stage in zip(inputs, _CHANNELS, recipe.blocks, strict=True)
        )
        self.head = nn.Sequential(
            nn.Conv2d(_CHANNELS[-1], recipe.head, 3, padding=1, bias=False),
            nn.BatchNorm2d(recipe.head),
            nn.ReLU(inplace=True),
            nn.Conv2d(recipe.head, 1, 3, padding=1, bias=False),
        )
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
                if any(layer.padding):
                    layer.padding_mode = "reflect"

    def forward(self, levels: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Logits [B, 8 H, 8 W] from levels [B, C, H, W] of strides 8, 16 and 32."""
        shallow, middle, deep = levels
        x = self.deepest(deep)
        for stage, skip in zip(self.stages, (middle, shallow, None, None), strict=True):
            x = self._larger(x)
            x = stage(x if skip is None else torch.cat([skip, x], dim=1))
        logits: Tensor = self.head(self._larger(x))
        return logits[:, 0]

    def _larger(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode=self.recipe.upsampling, align_corners=True)


def _stage(inputs: int, outputs: int, count: int, bottleneck: bool) -> nn.Sequential:
    """Residual blocks, the first of which changes the channels."""
    projection = None
    if inputs != outputs:
        projection = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
    sizes = [(inputs, projection), *[(outputs, None)] * (count - 1)]
    if bottleneck:
        return nn.Sequential(
            *(_Bottleneck(size, outputs // 2, downsample=change, base_width=128) for size, change in sizes)
        )
    return nn.Sequential(*(BasicBlock(size, outputs, downsample=change) for size, change in sizes))
