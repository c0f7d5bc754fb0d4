"""The classifier of synthetic defects: a pretrained encoder that can be tuned, and a decoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from multiflow.base.errors import InputError
from multiflow.methods.cflow.encoder import LevelEncoder, create_encoder
from multiflow.methods.clscnf.decoder import RECIPES, SegmentationDecoder
from multiflow.methods.clscnf.settings import Classifier, Settings

__all__ = ["DefectClassifier", "checked_shapes", "create_classifier"]

_STRIDES = (8, 16, 32)
_SMALLEST = 64  # side of a picture, px, whose levels all can be padded by reflection


class DefectClassifier(nn.Module):
    """Says of every pixel how likely it belongs to a defect.

    Batch normalisation of the encoder stays in evaluation mode, as in the released code: its statistics are those of
    the pretrained network, only its scales and shifts are tuned.

    Args:
        encoder: gives levels of strides 8, 16 and 32; what lies behind the last of them is dropped.
        settings: kind of the decoder.
    """

    def __init__(self, encoder: LevelEncoder, settings: Classifier) -> None:
        super().__init__()
        self.encoder = encoder.prune()
        wide = encoder.name.startswith("wide_resnet50")
        kind = ("bottleneck" if wide else "basic") if settings.decoder == "auto" else settings.decoder
        shallow, middle, deep = (shape[0] for shape in checked_shapes(encoder, _SMALLEST))
        self.decoder = SegmentationDecoder((shallow, middle, deep), RECIPES[kind])

    def forward(self, images: Tensor, tuned: bool = True) -> Tensor:
        """Probabilities [B, S, S] from normalised images [B, 3, S, S].

        Args:
            images: S is a multiple of 32, at least 64.
            tuned: whether gradients reach the encoder.
        """
        with torch.set_grad_enabled(tuned and torch.is_grad_enabled()):
            levels = self.encoder(images)
        probability: Tensor = self.decoder(tuple(levels)).sigmoid()
        return probability


def checked_shapes(encoder: LevelEncoder, size: int) -> list[tuple[int, int, int]]:
    """Channels, height and width of the encoder's levels.

    Raises:
        InputError: they are not those of strides 8, 16 and 32, or the encoder can't take images of this side.
    """
    shapes = encoder.shapes(size)
    expected = [(size // stride, size // stride) for stride in _STRIDES]
    if [shape[1:] for shape in shapes] != expected:
        raise InputError(
            f"encoder.levels: {encoder.name}: expected three levels of strides 8, 16 and 32 in this order, found "
            f"{', '.join(f'{height} x {width}' for _, height, width in shapes)} pixels of {size}; name others"
        )
    return shapes


def create_classifier(settings: Settings, weights: Mapping[str, Path]) -> DefectClassifier:
    """Create a classifier with a pretrained encoder and a new decoder, drawn from PyTorch's global generator.

    Args:
        settings: the method's.
        weights: files of pretrained networks, by network.

    Raises:
        InputError: the encoder can't be had, or has no such levels.
    """
    encoder = create_encoder(settings.encoder, weights)
    return DefectClassifier(encoder, settings.classifier).requires_grad_(True)
