"""The normalizing flow over the feature maps of all views of a sample."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from torch import Tensor, nn

from multiflow.errors import InputError
from multiflow.flow.attention import AttentionRule
from multiflow.flow.coupling import OUTPUT_LIMIT, CouplingBlock
from multiflow.flow.st_network import Fusion
from multiflow.views import CameraGraph

__all__ = ["KERNELS", "MultiFlow", "channel_permutations"]

KERNELS = (3, 3, 3, 3, 3, 5)
"""Kernel sizes of the six coupling blocks (paper section 4.3)."""


def channel_permutations(seed: int, views: int, channels: int) -> Tensor:
    """Return the channel order per view of block ``seed``, ``[V, C]``, as the released code draws it."""
    generator = np.random.RandomState(seed)
    return torch.from_numpy(np.stack([generator.permutation(channels) for _ in range(views)])).long()


class MultiFlow(nn.Module):
    """A normalizing flow whose coupling blocks exchange messages between views (paper section 3).

    Where the paper and its released code differ, the defaults are those of the released code.

    Args:
        channels: channels of a feature map, at least two.
        graph: which view receives messages from which.
        blocks: number of coupling blocks.
        hidden: channels inside of the st-networks.
        kernels: kernel size of each block, odd.
        clamp: limit of the soft clamping of the scales (paper equation 5, alpha).
        clamp_slope: factor of the soft clamping; 2/pi in the paper, 0.636 in the released code.
        fusion: how views exchange messages.
        attention: how ``fusion`` attends, ``paper`` or ``released``; see `EdgeAttention`.
        attention_heads: heads of the attention, a divisor of ``hidden``.
        gamma: whether the output of an st-network is scaled by a learned scalar per view, zero at first.
        conditional: whether the st-networks read a condition.
        condition_per_feature: whether every view has a condition of its own with as many channels as its
            features; else it is a map that all views share.
        transform_first: the half of the channels that a block transforms first: ``first`` in the released
            code, ``second`` in the paper (equation 2). Permutations before each block make them equivalent.
        output_limit: a block's outputs are clamped to plus and minus this value; None doesn't clamp them.
        generator: source of the initial parameters; the global one by default. At first all scales are one
            and all shifts zero, so an untrained flow permutes channels.

    Raises:
        InputError: values that describe no flow.
    """

    permutations: Tensor

    def __init__(
        self,
        channels: int,
        graph: CameraGraph,
        *,
        blocks: int = 6,
        hidden: int = 64,
        kernels: Sequence[int] = KERNELS,
        clamp: float = 1.9,
        clamp_slope: float = 2 / math.pi,
        fusion: Fusion = "conv2d",
        attention: AttentionRule = "released",
        attention_heads: int = 1,
        gamma: bool = True,
        conditional: bool = True,
        condition_per_feature: bool = False,
        transform_first: Literal["first", "second"] = "first",
        output_limit: float | None = OUTPUT_LIMIT,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        _validate(channels, blocks, hidden, kernels, clamp, clamp_slope, fusion, transform_first)
        _validate_options(hidden, attention, attention_heads, output_limit)
        self.channels = channels
        self.graph = graph
        self.hidden = hidden
        self.kernels = tuple(kernels)
        self.clamp = clamp
        self.clamp_slope = clamp_slope
        self.fusion = fusion
        self.attention = attention
        self.attention_heads = attention_heads
        self.gamma = gamma
        self.conditional = conditional
        self.condition_per_feature = condition_per_feature
        self.output_limit = output_limit
        self.transform_first = transform_first
        self.register_buffer(
            "permutations",
            torch.stack([channel_permutations(k, graph.views, channels) for k in range(blocks)]),
        )
        couplings = [
            CouplingBlock(
                graph,
                channels,
                hidden=hidden,
                kernel=kernel,
                clamp=clamp,
                clamp_slope=clamp_slope,
                fusion=fusion,
                attention=attention,
                attention_heads=attention_heads,
                gamma=gamma,
                condition_channels=0 if not conditional else channels if condition_per_feature else 1,
                first=transform_first,
                output_limit=output_limit,
                generator=generator,
            )
            for kernel in kernels
        ]
        self.couplings = nn.ModuleList(couplings)

    def forward(self, features: Tensor, condition: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the latents and the log-determinant of the Jacobian per pixel.

        Args:
            features: ``[B, V, C, H, W]``.
            condition: ``[B, 1, H, W]`` when the flow is conditional, ``[B, V, C, H, W]`` when it has a
                condition per feature, else none.

        Returns:
            Latents ``[B, V, C, H, W]`` and log-determinants ``[B, V, H, W]``.

        Raises:
            InputError: features or a condition that this flow can't take.
        """
        self._check(features, condition)
        maps = features.transpose(0, 1)
        log_determinant: Tensor | None = None
        for permutation, coupling in zip(self.permutations, self.couplings, strict=True):
            maps, block_log_determinant = coupling(_permute(maps, permutation), condition)
            log_determinant = (
                block_log_determinant if log_determinant is None else log_determinant + block_log_determinant
            )
        assert log_determinant is not None
        return maps.transpose(0, 1), log_determinant.transpose(0, 1)

    def inverse(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the features of the given latents, ``[B, V, C, H, W]``; the condition as in `forward`."""
        self._check(latents, condition)
        maps = latents.transpose(0, 1)
        for permutation, coupling in zip(self.permutations.flip(0), reversed(self.couplings), strict=True):
            maps = _permute(cast(CouplingBlock, coupling).inverse(maps, condition), permutation.argsort(dim=1))
        return maps.transpose(0, 1)

    def condition_of_test_time(self, features: Tensor) -> Tensor | None:
        """Return the condition for scoring: zero, a value never seen in training, as in the released code."""
        if not self.conditional:
            return None
        return torch.zeros_like(features if self.condition_per_feature else features[:, 0, :1])

    def architecture(self) -> dict[str, Any]:
        """Return the arguments that build this flow, as values that JSON can hold."""
        return {
            "channels": self.channels,
            "views": self.graph.views,
            "neighbors": [list(senders) for senders in self.graph.neighbors],
            "blocks": len(self.couplings),
            "hidden": self.hidden,
            "kernels": list(self.kernels),
            "clamp": self.clamp,
            "clamp_slope": self.clamp_slope,
            "fusion": self.fusion,
            "attention": self.attention,
            "attention_heads": self.attention_heads,
            "gamma": self.gamma,
            "conditional": self.conditional,
            "condition_per_feature": self.condition_per_feature,
            "transform_first": self.transform_first,
            "output_limit": self.output_limit,
        }

    def extra_repr(self) -> str:
        """Describe the flow in a few words."""
        parameters = sum(parameter.numel() for parameter in self.parameters())
        condition = "conditional" if self.conditional else "unconditional"
        return (
            f"{self.channels} channels, {self.graph}, fusion={self.fusion}, {condition}, clamp={self.clamp}, "
            f"clamp_slope={self.clamp_slope:.6g}, transform_first={self.transform_first}, "
            f"{parameters:,} parameters"
        )

    def _check(self, maps: Tensor, condition: Tensor | None) -> None:
        views = self.graph.views
        if maps.ndim != 5 or maps.shape[1] != views or maps.shape[2] != self.channels:
            raise InputError(
                f"flow: expected features [batch, {views} views, {self.channels} channels, height, width], "
                f"found {list(maps.shape)}: use the features with which the flow was trained, or train anew"
            )
        if self.conditional != (condition is not None):
            expected, found = ("a condition", "none") if self.conditional else ("no condition", "one")
            raise InputError(f"flow: expected {expected}, found {found}: use the noise with which it was trained")
        shape = maps.shape if self.condition_per_feature else (len(maps), 1, *maps.shape[3:])
        if condition is not None and condition.shape != shape:
            raise InputError(f"flow: expected a condition {list(shape)}, found {list(condition.shape)}")


def _permute(maps: Tensor, permutation: Tensor) -> Tensor:
    """Reorder the channels of each view: ``[V, B, C, H, W]`` by ``[V, C]``."""
    views, batch, channels = maps.shape[:3]
    first = torch.arange(0, views * batch * channels, channels, device=maps.device).view(views, batch, 1)
    rows = (first + permutation[:, None]).flatten()
    return maps.flatten(0, 2).index_select(0, rows).view(maps.shape)


def _validate(
    channels: int,
    blocks: int,
    hidden: int,
    kernels: Sequence[int],
    clamp: float,
    clamp_slope: float,
    fusion: str,
    transform_first: str,
) -> None:
    problems = []
    if channels < 2:
        problems.append(f"flow: channels: expected at least 2 (a coupling block has two halves), found {channels}")
    if blocks < 1 or len(kernels) != blocks:
        problems.append(f"flow: kernels: expected one per block, {blocks} blocks, found {list(kernels)}")
    if any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
        problems.append(f"flow: kernels: expected odd sizes, found {list(kernels)}")
    if hidden < 1:
        problems.append(f"flow: hidden: expected at least 1 channel, found {hidden}")
    if not (0 < clamp < math.inf and 0 < clamp_slope < math.inf):
        problems.append(f"flow: clamp and clamp_slope: expected positive numbers, found {clamp} and {clamp_slope}")
    if fusion not in get_args(Fusion):
        problems.append(f"flow: fusion: expected one of {', '.join(get_args(Fusion))}, found {fusion!r}")
    if transform_first not in ("first", "second"):
        problems.append(f"flow: transform_first: expected first or second, found {transform_first!r}")
    if problems:
        raise InputError(problems)


def _validate_options(hidden: int, attention: str, attention_heads: int, output_limit: float | None) -> None:
    problems = []
    if attention not in get_args(AttentionRule):
        problems.append(f"flow: attention: expected one of {', '.join(get_args(AttentionRule))}, found {attention!r}")
    if attention_heads < 1 or hidden % attention_heads:
        problems.append(f"flow: attention_heads: expected a divisor of hidden, {hidden}, found {attention_heads}")
    if output_limit is not None and not 0 < output_limit < math.inf:
        problems.append(f"flow: output_limit: expected a positive number or none, found {output_limit}")
    if problems:
        raise InputError(problems)
