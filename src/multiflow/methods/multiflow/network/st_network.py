"""The st-network: from one half of the channels of all views to the scale and shift of the other half."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from multiflow.methods.multiflow.camera_graph import CameraGraph
from multiflow.methods.multiflow.network import convolution
from multiflow.methods.multiflow.network.attention import EdgeAttention
from multiflow.methods.multiflow.network.chunks import single_views
from multiflow.methods.multiflow.settings import Network

__all__ = ["StNetwork"]


class StNetwork(nn.Module):
    """Convolution blocks per view with messages between the views (paper equations 3 and 4, figure 3).

    Each view has its own k x k convolution and ReLU; a second k x k convolution per view, plus the mean of
    one k x k convolution per neighbour, times a learned scalar per view that starts at zero. Padding is
    replicate throughout. The second convolution of a view and its messages are computed as one.

    Args:
        graph: which view receives messages from which.
        in_channels: channels read, the condition included.
        out_channels: channels returned (scale and shift).
        kernel: kernel size of all convolutions, odd.
        settings: ``hidden`` channels between the two convolutions; whether ``fusion`` has an attention before the
            second one, see `EdgeAttention`; whether the output is scaled by a learned ``gamma``, else by 1.
        generator: source of the initial parameters; the global one by default.
    """

    def __init__(
        self,
        graph: CameraGraph,
        in_channels: int,
        out_channels: int,
        kernel: int,
        settings: Network,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        hidden = settings.hidden
        self.graph = graph
        self.padding = kernel // 2
        self.in_weights = nn.ParameterList(
            nn.Parameter(torch.empty(hidden, in_channels, kernel, kernel)) for _ in range(graph.views)
        )
        self.in_bias = nn.Parameter(torch.empty(graph.views, hidden))
        # Per view: the kernels of the view itself and of each of its messages, side by side.
        self.out_weights = nn.ParameterList(
            nn.Parameter(torch.empty(out_channels, (1 + len(senders)) * hidden, kernel, kernel))
            for senders in graph.neighbors
        )
        # A row per kernel, in the same order: the rows of a view are added up in the forward pass.
        self.out_biases = nn.Parameter(torch.empty(graph.views + len(graph.edges), out_channels))
        self.gamma: Tensor
        if settings.gamma:
            self.gamma = nn.Parameter(torch.zeros(graph.views))
        else:
            self.register_buffer("gamma", torch.ones(graph.views), persistent=False)
        self.attention: EdgeAttention | None = None
        if settings.fusion != "conv2d" and graph.edges:
            self.attention = EdgeAttention(graph, settings, generator=generator)
        # The default of nn.Conv2d for each convolution that is part of a fused one.
        in_bound = (in_channels * kernel**2) ** -0.5
        out_bound = (hidden * kernel**2) ** -0.5
        for parameter in (*self.in_weights, self.in_bias):
            nn.init.uniform_(parameter, -in_bound, in_bound, generator=generator)
        for parameter in (*self.out_weights, self.out_biases):
            nn.init.uniform_(parameter, -out_bound, out_bound, generator=generator)

    def forward(self, halves: Sequence[Tensor], condition: Tensor | None) -> Sequence[Tensor]:
        """Return the output before its scaling by gamma: chunks of ``[V, B, C, H, W]`` to ``[V, B, O, H, W]``.

        Args:
            halves: the channels read, in chunks of views.
            condition: ``[B, 1, H, W]``, the same for all views, or ``[B, V, K, H, W]``, one per view.
        """
        views_per_chunk = len(halves[0])
        if condition is not None:
            shared = condition.ndim == 4
            per_view = condition.expand(self.graph.views, *condition.shape) if shared else condition.transpose(0, 1)
            halves = [torch.cat(parts, dim=2) for parts in zip(halves, per_view.split(views_per_chunk), strict=True)]
        padded = [convolution.replicate_pad(half, self.padding) for half in halves]
        views = [view for half in padded for view in single_views(half)]
        # One convolution per view: on the CPU faster than a grouped one (benchmarks/training_step.py).
        maps = torch.stack(
            [
                torch.conv2d(view, weight, bias)
                for view, weight, bias in zip(views, self.in_weights, self.in_bias, strict=True)
            ]
        ).relu()
        sources = maps if self.attention is None else torch.cat([maps, self.attention(maps)])
        # Under autocast the maps are in the lower precision, and what joins them must be too.
        dtype, device = maps.dtype, maps.device
        biases = convolution.bias_matrix(self.graph, self.out_biases.dtype, device) @ self.out_biases
        return convolution.fused_convolution(
            sources.to(dtype),
            [weight.to(dtype) for weight in self.out_weights],
            biases.to(dtype),
            self.padding,
            convolution.message_sources(self.graph, self.attention is not None, maps.shape[1], dtype, device),
            views_per_chunk,
        )

    def extra_repr(self) -> str:
        """Describe the network in one line."""
        hidden, channels, kernel, _ = self.in_weights[0].shape
        return f"{self.graph}; {channels} -> {hidden} -> {self.out_biases.shape[1]} channels, {kernel}x{kernel}"
