"""MVANet: a whole image and its four quadrants as five views of one scene (Yu et al., CVPR 2024)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from multiflow.foreground.mvanet.attention import ComplementaryLocalization, ComplementaryRefinement
from multiflow.foreground.mvanet.backbone import SwinBackbone
from multiflow.foreground.mvanet.patches import join_quadrants, resize, split_quadrants

__all__ = ["MVANet"]

_CHANNELS = 128
_STAGE_CHANNELS = (128, 128, 256, 512, 1024)


class MVANet(nn.Module):
    """Foreground logits of square images.

    The modules have the names of the released checkpoint.
    """

    def __init__(self) -> None:
        super().__init__()
        self.backbone = SwinBackbone()
        for level, channels in enumerate(_STAGE_CHANNELS, start=1):
            self.add_module(f"output{level}", nn.Sequential(*_convolution(channels, _CHANNELS), nn.PReLU()))
        self.multifieldcrossatt = ComplementaryLocalization(_CHANNELS)
        for level in range(1, 5):
            self.add_module(f"conv{level}", nn.Sequential(*_convolution(_CHANNELS, _CHANNELS), nn.PReLU()))
            self.add_module(f"dec_blk{level}", ComplementaryRefinement(_CHANNELS))
        wide = 3 * _CHANNELS
        self.insmask_head = nn.Sequential(
            *_convolution(_CHANNELS, wide),
            nn.PReLU(),
            *_convolution(wide, wide),
            nn.PReLU(),
            nn.Conv2d(wide, _CHANNELS, 3, padding=1),
        )
        self.shallow = nn.Sequential(nn.Conv2d(3, _CHANNELS, 3, padding=1))
        self.upsample1 = nn.Sequential(*_convolution(_CHANNELS, _CHANNELS), nn.GELU())
        self.upsample2 = nn.Sequential(*_convolution(_CHANNELS, _CHANNELS), nn.GELU())
        self.output = nn.Sequential(nn.Conv2d(_CHANNELS, 1, 3, padding=1))

    def forward(self, images: Tensor) -> Tensor:
        """Logits [B, 1, S, S] of normalised images [B, 3, S, S].

        Raises:
            ValueError: S is not a multiple of 128 from 384 on; smaller maps could not be pooled or quartered.
        """
        size = images.shape[-1]
        if images.shape[-2] != size or size % 128 or size < 384:
            raise ValueError(f"expected square images, a multiple of 128 px from 384 on, found {list(images.shape)}")
        # Only small versions of this map are needed: the large one is not kept.
        shallow = self.shallow(images)
        shallow_half, shallow_quarter = resize(shallow, size // 2), resize(shallow, size // 4)
        del shallow

        views = torch.cat([split_quadrants(images), resize(images, size // 2)[:, None]], dim=1)
        stages = self.backbone(views.flatten(0, 1))
        decoded = self.multifieldcrossatt(self.get_submodule("output5")(stages[4]))
        for level in range(4, 0, -1):
            skipped = self.get_submodule(f"output{level}")(stages[level - 1])
            merged = skipped + resize(decoded, skipped.shape[-1])
            decoded = self.get_submodule(f"conv{level}")(self.get_submodule(f"dec_blk{level}")(merged))
        del stages, skipped, merged

        decoded = decoded.unflatten(0, (-1, 5))
        fine = join_quadrants(decoded[:, :4])
        fine = self.insmask_head(fine + resize(decoded[:, 4], fine.shape[-1])) + shallow_quarter
        fine = self.upsample1(F.interpolate(fine, scale_factor=2, mode="nearest")) + shallow_half
        fine = self.upsample2(F.interpolate(fine, scale_factor=2, mode="nearest"))
        logits: Tensor = self.output(fine)
        return logits


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs)
