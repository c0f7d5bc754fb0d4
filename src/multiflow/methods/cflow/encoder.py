"""The encoder: a frozen network of timm, of which the outputs of a few levels are taken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from timm.layers import Conv2dSame  # type: ignore[attr-defined]
from torch import Tensor, nn

from multiflow.base.errors import InputError
from multiflow.features.pretrained import create_pretrained, pretrained_settings
from multiflow.methods.cflow.settings import Encoder

__all__ = ["LevelEncoder", "create_encoder"]


class LevelEncoder(nn.Module):
    """A frozen network that gives the outputs of its levels.

    Args:
        model: a network of timm; its padding is changed in place.
        settings: which levels, and how it pads.

    Raises:
        InputError: the network names no levels, or others, or its padding can't be changed.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, settings: Encoder) -> None:
        super().__init__()
        name, known = settings.backbone, getattr(model, "feature_info", None)
        if not known or not hasattr(model, "forward_intermediates"):
            raise InputError(f"encoder.backbone: {name}: expected feature levels, timm names none; take another one")
        count = len(getattr(known, "info", known))
        self.levels = [level % count for level in settings.levels if -count <= level < count]
        if len(set(self.levels)) < len(settings.levels):
            raise InputError(
                f"encoder.levels: expected different ones of the {count} of {name}, {-count} to {count - 1}, found "
                f"{settings.levels}"
            )
        if settings.padding == "reflect":
            _pad_by_reflection(model, name)
        self.model = model
        values = pretrained_settings(model)
        self.register_buffer("mean", torch.tensor(values["mean"]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(values["std"]).view(3, 1, 1), persistent=False)
        self.name = name
        self.requires_grad_(False)
        self.eval()

    def prune(self) -> LevelEncoder:
        """Drop what lies behind the last of the levels, where the network can; returns itself."""
        network: Any = self.model
        if hasattr(network, "prune_intermediate_layers"):
            network.prune_intermediate_layers(sorted(self.levels))
        return self

    def train(self, mode: bool = True) -> LevelEncoder:
        """Stay in evaluation mode: the encoder is frozen."""
        return super().train(False)

    def normalize(self, images: Tensor) -> Tensor:
        """Network input [B, 3, S, S] float32 from RGB images [B, S, S, 3] uint8."""
        return (images.permute(0, 3, 1, 2).float().div(255) - self.mean) / self.std

    def forward(self, images: Tensor) -> list[Tensor]:
        """Outputs [B, C, H, W] of the levels, in the order of the settings, of normalised images [B, 3, S, S]."""
        network: Any = self.model
        found = network.forward_intermediates(images, indices=sorted(self.levels), intermediates_only=True)
        by_level = dict(zip(sorted(self.levels), found, strict=True))
        return [by_level[level] for level in self.levels]

    @torch.no_grad()
    def shapes(self, size: int) -> list[tuple[int, int, int]]:
        """Channels, height and width of the levels, of images with this side.

        Raises:
            InputError: a level has no pixel, or the network can't take such images.
        """
        remedy = "take a larger image_size"
        try:
            shapes = [tuple(level.shape[1:]) for level in self(self.mean.new_zeros(1, 3, size, size))]
        except (RuntimeError, AssertionError) as error:  # a padding wider than the map, a transformer's fixed size
            reason = " ".join(str(error).split())[:160]
            raise InputError(
                f"image_size: {self.name} can't take {size} px, a level has too few pixels ({reason}); {remedy}"
            ) from None
        for level, shape in zip(self.levels, shapes, strict=True):
            if len(shape) != 3 or 0 in shape:
                raise InputError(
                    f"image_size: level {level} of {self.name}: expected channels, rows and columns of images of "
                    f"{size} px, found {list(shape)}; {remedy}, or other encoder.levels"
                )
        return [(channels, height, width) for channels, height, width in shapes]


def create_encoder(settings: Encoder, weights: Mapping[str, Path]) -> LevelEncoder:
    """Create the encoder.

    Args:
        settings: of the encoder.
        weights: files of pretrained networks, by network.

    Raises:
        InputError: timm has no such network, or its weights are damaged or those of another one.
    """
    return LevelEncoder(create_pretrained(settings.backbone, weights[settings.backbone]), settings)


def _pad_by_reflection(model: nn.Module, name: str) -> None:
    """Reflect in every padded convolution; the weights stay."""
    for place, layer in model.named_modules():
        if isinstance(layer, Conv2dSame):
            raise InputError(
                f"encoder.padding: {name} pads {place} by the size of its input, which can't be reflected; set "
                "encoder.padding: zeros"
            )
        if isinstance(layer, nn.Conv2d) and any(layer.padding):
            layer.padding_mode = "reflect"
