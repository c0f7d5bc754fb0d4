"""The affine coupling block."""

from __future__ import annotations

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

    def forward(self, maps: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the transformed maps and the log-determinant: ``[V, B, C, H, W]``, ``[V, B, H, W]``."""
        halves = list(torch.split(maps, self.sizes, dim=2))
        # The elementwise part is costly to keep, and cheap to repeat in the backward pass, but not on a CPU.
        transform = self._transform if maps.device.type == "cpu" else self._transform_again
        log_determinants = []
        for half in self.order:
            network = cast(StNetwork, self.networks[half])
            output = network(halves[1 - half], condition)
            halves[half], log_determinant = transform(output, network.gamma, halves[half])
            log_determinants.append(log_determinant)
        maps = torch.cat(halves, dim=2)
        if self.output_limit is not None:
            maps = maps.clamp(-self.output_limit, self.output_limit)
        return maps, log_determinants[0] + log_determinants[1]

    def inverse(self, maps: Tensor, condition: Tensor | None) -> Tensor:
        """Return the maps whose transformation was given, as long as that wasn't clamped."""
        halves = list(torch.split(maps, self.sizes, dim=2))
        for half in reversed(self.order):
            network = cast(StNetwork, self.networks[half])
            log_scale, shift = self._scale_and_shift(network(halves[1 - half], condition), network.gamma)
            halves[half] = (halves[half] - shift) * (-log_scale).exp()
        return torch.cat(halves, dim=2)

    def _transform(self, output: Tensor, gamma: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
        log_scale, shift = self._scale_and_shift(output, gamma)
        return half * log_scale.exp() + shift, log_scale.sum(dim=2)

    def _transform_again(self, output: Tensor, gamma: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
        """The same, computed once more in the backward pass in place of being kept."""
        arguments = self._transform, output, gamma, half
        transformed: tuple[Tensor, Tensor] = checkpoint(*arguments, use_reentrant=False, preserve_rng_state=False)
        return transformed

    def _scale_and_shift(self, output: Tensor, gamma: Tensor) -> tuple[Tensor, Tensor]:
        scale, shift = (output * gamma.view(-1, 1, 1, 1, 1)).chunk(2, dim=2)
        return torch.atan(scale / self.clamp) * (self.clamp_slope * self.clamp), shift
