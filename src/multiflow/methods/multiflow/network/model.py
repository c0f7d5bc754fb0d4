"""The normalizing flow over the feature maps of all views of a sample."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from multiflow.base.errors import InputError
from multiflow.methods.multiflow.camera_graph import CameraGraph
from multiflow.methods.multiflow.network.chunks import join_chunks, split_views
from multiflow.methods.multiflow.network.convolution import leave_out_of_compilation
from multiflow.methods.multiflow.network.coupling import CouplingBlock
from multiflow.methods.multiflow.network.noise import condition_shape
from multiflow.methods.multiflow.settings import Network

__all__ = ["MultiFlow", "channel_permutations"]


def channel_permutations(seed: int, views: int, channels: int) -> Tensor:
    """Return the channel order per view of block ``seed``, ``[V, C]``, as the released code draws it."""
    generator = np.random.RandomState(seed)
    return torch.from_numpy(np.stack([generator.permutation(channels) for _ in range(views)])).long()


class MultiFlow(nn.Module):
    """A normalizing flow whose coupling blocks exchange messages between views (paper section 3).

    Example:
        >>> from multiflow.methods.multiflow.camera_graph import camera_graph
        >>> flow = MultiFlow(8, camera_graph(5), Network(blocks=1, kernels=[3], noise="none"))
        >>> latents, log_determinant = flow(torch.zeros(2, 5, 8, 4, 4))
        >>> latents.shape, log_determinant.shape
        (torch.Size([2, 5, 8, 4, 4]), torch.Size([2, 5, 4, 4]))

    Args:
        channels: channels of a feature map, at least two.
        graph: which view receives messages from which; the settings' ``connections`` are not read here.
        settings: all that decides how the flow computes.
        generator: source of the initial parameters; the global one by default. At first all scales are one
            and all shifts zero, so an untrained flow permutes channels.

    Raises:
        InputError: features of one channel, which have no two halves.
    """

    permutations: Tensor

    def __init__(
        self, channels: int, graph: CameraGraph, settings: Network, *, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        if channels < 2:
            raise InputError(f"flow: channels: expected at least 2 (a coupling block has two halves), found {channels}")
        self.channels = channels
        self.graph = graph
        self.settings = settings
        self.register_buffer(
            "permutations",
            torch.stack([channel_permutations(k, graph.views, channels) for k in range(settings.blocks)]),
        )
        self.couplings = nn.ModuleList(
            CouplingBlock(graph, channels, kernel, settings, generator=generator) for kernel in settings.kernels
        )

    def compile(self, *arguments: Any, **options: Any) -> None:
        """Compile the flow by torch.compile, as any module; its fused convolutions run as they are."""
        leave_out_of_compilation()
        super().compile(*arguments, **options)

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
        maps = split_views(features.transpose(0, 1))
        log_determinants = []
        for permutation, coupling in zip(self.permutations, self.couplings, strict=True):
            maps, terms = coupling(_permute(maps, permutation), condition)
            log_determinants.append(terms)
        totals = [reduce(torch.add, terms) for terms in zip(*log_determinants, strict=True)]
        return join_chunks(maps).transpose(0, 1), join_chunks(totals).transpose(0, 1)

    def inverse(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return the features of the given latents, ``[B, V, C, H, W]``; the condition as in `forward`."""
        self._check(latents, condition)
        maps = split_views(latents.transpose(0, 1))
        for permutation, coupling in zip(self.permutations.flip(0), reversed(self.couplings), strict=True):
            maps = _permute(cast(CouplingBlock, coupling).inverse(maps, condition), permutation.argsort(dim=1))
        return join_chunks(maps).transpose(0, 1)

    def condition_of_test_time(self, features: Tensor) -> Tensor | None:
        """Return the condition for scoring: zero, a value never seen in training, as in the released code."""
        shape = condition_shape(self.settings, features.shape)
        return None if shape is None else features.new_zeros(shape)

    def architecture(self) -> dict[str, Any]:
        """Return what builds this flow, as values that JSON can hold."""
        neighbors = [list(senders) for senders in self.graph.neighbors]
        return {"channels": self.channels, "neighbors": neighbors, **self.settings.model_dump(mode="json")}

    def extra_repr(self) -> str:
        """Describe the flow by its graph and by its settings that are not the defaults."""
        changed = [
            f"{name}={getattr(self.settings, name)}"
            for name, field in Network.model_fields.items()
            if getattr(self.settings, name) != field.default
        ]
        parameters = sum(parameter.numel() for parameter in self.parameters())
        return ", ".join([f"{self.channels} channels", str(self.graph), *changed, f"{parameters:,} parameters"])

    def _check(self, maps: Tensor, condition: Tensor | None) -> None:
        views = self.graph.views
        if maps.ndim != 5 or maps.shape[1] != views or maps.shape[2] != self.channels:
            raise InputError(
                f"flow: expected features [batch, {views} views, {self.channels} channels, height, width], "
                f"found {list(maps.shape)}: use the features with which the flow was trained, or train anew"
            )
        shape = condition_shape(self.settings, maps.shape)
        if (shape is None) != (condition is None):
            expected, found = ("no condition", "one") if shape is None else ("a condition", "none")
            raise InputError(f"flow: expected {expected}, found {found}: use the noise with which it was trained")
        if shape is not None and condition is not None and condition.shape != shape:
            raise InputError(f"flow: expected a condition {list(shape)}, found {list(condition.shape)}")


def _permute(maps: Sequence[Tensor], permutation: Tensor) -> list[Tensor]:
    """Reorder the channels of each view: chunks of ``[V, B, C, H, W]`` by ``[V, C]``."""
    permutations = permutation.split(len(maps[0]))
    return [_permute_chunk(*chunk) for chunk in zip(maps, permutations, strict=True)]


def _permute_chunk(maps: Tensor, permutation: Tensor) -> Tensor:
    """Reorder the channels of each view of one chunk."""
    views, batch, channels = maps.shape[:3]
    first = torch.arange(0, views * batch * channels, channels, device=maps.device).view(views, batch, 1)
    rows = (first + permutation[:, None]).flatten()
    return maps.flatten(0, 2).index_select(0, rows).view(maps.shape)
