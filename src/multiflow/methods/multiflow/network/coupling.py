"""The affine coupling block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from multiflow.methods.multiflow.camera_graph import CameraGraph
from multiflow.methods.multiflow.network.st_network import StNetwork
from multiflow.methods.multiflow.settings import Network

__all__ = ["CouplingBlock"]


class CouplingBlock(nn.Module):
    """Transform each half of the channels of all views by the other half (paper equations 2 and 5).

    The scale is clamped softly: log s = clamp_slope * clamp * atan(s' / clamp).

    Args:
        graph: which view receives messages from which.
        channels: channels of a view; the first half has channels // 2.
        kernel: kernel size of the st-networks.
        settings: ``clamp``, ``clamp_slope``, ``transform_first``, ``output_limit``, and those of the st-networks.
        generator: source of the initial parameters; the global one by default.
    """

    def __init__(
        self,
        graph: CameraGraph,
        channels: int,
        kernel: int,
        settings: Network,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.clamp = settings.clamp
        self.clamp_slope = settings.clamp_slope
        self.output_limit = settings.output_limit
        self.sizes = [channels // 2, channels - channels // 2]
        self.order = (0, 1) if settings.transform_first == "first" else (1, 0)
        condition_channels = settings.condition_channels(channels)
        # networks[h] returns scale and shift of half h, and reads the other half.
        self.networks = nn.ModuleList(
            StNetwork(
                graph,
                self.sizes[1 - half] + condition_channels,
                2 * self.sizes[half],
                kernel,
                settings,
                generator=generator,
            )
            for half in (0, 1)
        )

    def forward(self, maps: Sequence[Tensor], condition: Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
        """Return the transformed maps and the log-determinants: ``[V, B, C, H, W]``, ``[V, B, H, W]``, in chunks."""
        halves = self._split(maps)
        # The elementwise part is costly to keep, and cheap to repeat in the backward pass, but not on a CPU.
        transform = self._transform if maps[0].device.type == "cpu" else self._transform_again
        log_determinants = []
        for half in self.order:
            network = cast(StNetwork, self.networks[half])
            outputs = network(halves[1 - half], condition)
            gammas = network.gamma.split(len(maps[0]))
            transformed = [transform(*chunk) for chunk in zip(outputs, gammas, halves[half], strict=True)]
            halves[half] = [chunk for chunk, _ in transformed]
            log_determinants.append([log_determinant for _, log_determinant in transformed])
        joined = [torch.cat(chunks, dim=2) for chunks in zip(*halves, strict=True)]
        if self.output_limit is not None:
            joined = [chunk.clamp(-self.output_limit, self.output_limit) for chunk in joined]
        return joined, [first + second for first, second in zip(*log_determinants, strict=True)]

    def inverse(self, maps: Sequence[Tensor], condition: Tensor | None) -> list[Tensor]:
        """Return the maps whose transformation was given, as long as that wasn't clamped, in chunks."""
        halves = self._split(maps)
        for half in reversed(self.order):
            network = cast(StNetwork, self.networks[half])
            outputs = network(halves[1 - half], condition)
            gammas = network.gamma.split(len(maps[0]))
            halves[half] = [self._restore(*chunk) for chunk in zip(outputs, gammas, halves[half], strict=True)]
        return [torch.cat(chunks, dim=2) for chunks in zip(*halves, strict=True)]

    def _split(self, maps: Sequence[Tensor]) -> list[list[Tensor]]:
        """Both halves of all chunks."""
        return [list(chunks) for chunks in zip(*(chunk.split(self.sizes, dim=2) for chunk in maps), strict=True)]

    def _transform(self, output: Tensor, gamma: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
        """The transformed half ``[v, B, C, H, W]`` of a chunk and its log-determinant ``[v, B, H, W]``."""
        log_scale, shift = self._scale_and_shift(output, gamma)
        return half * log_scale.exp() + shift, log_scale.sum(dim=2)

    def _restore(self, output: Tensor, gamma: Tensor, half: Tensor) -> Tensor:
        """The half whose transformation is given."""
        log_scale, shift = self._scale_and_shift(output, gamma)
        return (half - shift) * (-log_scale).exp()

    def _transform_again(self, output: Tensor, gamma: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
        """The same, computed once more in the backward pass in place of being kept."""
        arguments = self._transform, output, gamma, half
        transformed: tuple[Tensor, Tensor] = checkpoint(*arguments, use_reentrant=False, preserve_rng_state=False)
        return transformed

    def _scale_and_shift(self, output: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = (output * gamma.view(-1, 1, 1, 1, 1)).chunk(2, dim=2)
        return torch.atan(scale / self.clamp) * (self.clamp_slope * self.clamp), shift
