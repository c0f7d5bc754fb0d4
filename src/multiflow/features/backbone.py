"""The frozen backbone: a timm model up to one of its modules (paper section 3.1)."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from multiflow.base.errors import InputError
from multiflow.features.pretrained import create_pretrained, pretrained_settings
from multiflow.features.settings import FeatureSet

__all__ = ["Backbone", "create_backbone"]

# The released extractor keeps the padding that is right for B5's own 456 px at every image size. At the sizes
# of the paper it differs from timm's in these two layers, and moves their sampling grid by one pixel.
_FIXED_PADDING = {"blocks.3.0.conv_dw": 1, "blocks.5.0.conv_dw": 2}


class _NodeReached(Exception):  # noqa: N818  (it ends a forward pass, it is no error)
    """Carries the node's output out of the forward pass."""

    def __init__(self, output: Any) -> None:
        self.output = output


class Backbone(nn.Module):
    """A frozen network that runs up to one of its modules and returns that module's output.

    Args:
        model: the whole network; what comes after ``node`` never runs.
        node: name of the module, as in ``model.named_modules()``.
        mean: mean of the network's training images per channel, for pixels in 0 to 1.
        std: standard deviation likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: nn.Module, node: str, mean: tuple[float, float, float], std: tuple[float, float, float]
    ) -> None:
        super().__init__()
        self.model = model
        self.node = node
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)
        model.get_submodule(node).register_forward_hook(_leave)
        self.requires_grad_(False)
        self.eval()

    def normalize(self, images: Tensor) -> Tensor:
        """Network input [B, 3, S, S] float32 from RGB images [B, S, S, 3] uint8.

        Its memory keeps the images' order, channels last: a CPU convolves it up to a quarter faster.
        """
        return (images.permute(0, 3, 1, 2).float().div(255) - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        """Features [B, C, H, W] of normalised images [B, 3, S, S]."""
        try:
            self.model(images)
        except _NodeReached as reached:
            if not isinstance(reached.output, Tensor) or reached.output.ndim != 4:
                found = tuple(reached.output.shape) if isinstance(reached.output, Tensor) else "no tensor"
                raise InputError(
                    f"features: node {self.node}: expected an output [batch, channel, height, width], "
                    f"found {found}; name a convolutional stage"
                ) from None
            return reached.output
        raise InputError(f"features: node {self.node}: the backbone's forward pass never runs it; name another node")

    def train(self, mode: bool = True) -> Backbone:
        """Stay in evaluation mode: the backbone is frozen."""
        return super().train(False)


def create_backbone(features: FeatureSet, weights: Path) -> Backbone:
    """Create the backbone of a set of features, with weights from :func:`multiflow.features.pretrained.fetch_weights`.

    Args:
        features: the set of features; ``padding`` matters for a TensorFlow EfficientNet-B5 only.
        weights: file of the backbone's weights.

    Returns:
        Module that maps normalised images [B, 3, S, S] to features [B, C, H, W].

    Raises:
        InputError: the weights are damaged or of another backbone, or the node does not exist.
    """
    model = create_pretrained(features.backbone, weights)
    if features.padding == "fixed" and features.backbone.startswith("tf_efficientnet_b5"):
        _fix_padding(model)
    nodes = [name for name, _ in model.named_modules() if name]
    if features.node not in nodes:
        close = difflib.get_close_matches(features.node, nodes, n=3) or [name for name in nodes if "." not in name]
        raise InputError(
            f"features: node: {features.backbone} has no module {features.node}; available are, for instance, "
            f"{', '.join(close)}"
        )
    settings = pretrained_settings(model)
    return Backbone(model, features.node, tuple(settings["mean"]), tuple(settings["std"]))


def _leave(module: nn.Module, inputs: Any, output: Any) -> None:
    raise _NodeReached(output)


def _fix_padding(model: nn.Module) -> None:
    for name, padding in _FIXED_PADDING.items():
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Conv2d)
        fixed = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,  # type: ignore[arg-type]
            layer.stride,  # type: ignore[arg-type]
            padding,
            groups=layer.groups,
            bias=False,
        )
        fixed.weight = layer.weight
        model.set_submodule(name, fixed)
