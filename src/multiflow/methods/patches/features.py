"""From pictures to the features of patches, and from their scores to those of a picture (Roth et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from multiflow.methods.cflow.encoder import LevelEncoder, create_encoder
from multiflow.methods.cflow.training import encode
from multiflow.methods.contract import Scores
from multiflow.methods.patches.settings import PatchEncoder

__all__ = ["create_patch_encoder", "patch_features", "picture_scores"]

_SIGMA = 4.0  # px, of the Gaussian that smooths a map
_KERNEL = 2 * int(4 * _SIGMA + 0.5) + 1


def create_patch_encoder(settings: PatchEncoder, weights: Mapping[str, Path], device: torch.device) -> LevelEncoder:
    """Create the frozen network; what lies behind its last level is dropped.

    Args:
        settings: of the network.
        weights: files of pretrained networks, by network.
        device: where it runs.

    Raises:
        InputError: the network can't be had, or has no such levels.
    """
    return create_encoder(settings, weights).prune().to(device)


@torch.no_grad()
def patch_features(encoder: LevelEncoder, images: NDArray[np.uint8]) -> Tensor:
    """Features [B, H, W, C] on the encoder's device: of each level the mean over 3 × 3 neighbours, side by side.

    Args:
        encoder: H and W are the grid of its first level, to which the others are brought bilinearly.
        images: RGB [B, S, S, 3].
    """
    first, *others = (F.avg_pool2d(level, 3, stride=1, padding=1) for level in encode(encoder, images))
    same = [F.interpolate(level, first.shape[-2:], mode="bilinear") for level in others]
    return torch.cat([first, *same], dim=1).movedim(1, -1)


def picture_scores(patches: Tensor, size: int) -> Scores:
    """The scores of patches as smoothed maps of this side; a picture's score is its highest patch's, before that.

    Args:
        patches: scores [V, H, W].
        size: side of the maps, px.
    """
    maps = F.interpolate(patches[:, None], (size, size), mode="bilinear")
    smooth = gaussian_blur(maps, [_KERNEL, _KERNEL], [_SIGMA, _SIGMA])[:, 0]
    return Scores(smooth.float().cpu().numpy(), patches.amax(dim=(1, 2)).float().cpu().numpy())
