"""Messages by attention, all edges of the camera graph in one batched call."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from multiflow.views import CameraGraph

__all__ = ["EdgeAttention"]


class EdgeAttention(nn.Module):
    """One-head attention per message, then ReLU and layer norm (paper section 4.6, as in the released code).

    The keys and values are the positions of the sending view. The queries are those of the sending view too
    (self-attention) or those of the receiving view (``cross_view``). There are neither position codes nor
    residual connections.
    """

    sending: Tensor
    receiving: Tensor

    def __init__(
        self, graph: CameraGraph, hidden: int, *, cross_view: bool, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        edges = len(graph.edges)
        self.cross_view = cross_view
        self.register_buffer("sending", torch.tensor([e[0] for e in graph.edges], dtype=torch.long), persistent=False)
        self.register_buffer("receiving", torch.tensor([e[1] for e in graph.edges], dtype=torch.long), persistent=False)
        self.in_weight = nn.Parameter(torch.empty(edges, 3 * hidden, hidden))
        self.in_bias = nn.Parameter(torch.zeros(edges, 3 * hidden))
        self.out_weight = nn.Parameter(torch.empty(edges, hidden, hidden))
        self.out_bias = nn.Parameter(torch.zeros(edges, hidden))
        self.norm_weight = nn.Parameter(torch.ones(edges, hidden))
        self.norm_bias = nn.Parameter(torch.zeros(edges, hidden))
        # The defaults of nn.MultiheadAttention: Xavier over the stacked projections, a linear layer behind.
        nn.init.uniform_(self.in_weight, -((6 / (4 * hidden)) ** 0.5), (6 / (4 * hidden)) ** 0.5, generator=generator)
        nn.init.uniform_(self.out_weight, -(hidden**-0.5), hidden**-0.5, generator=generator)

    def forward(self, maps: Tensor) -> Tensor:
        """Return one message map per edge: ``[V, B, C, H, W]`` to ``[E, B, C, H, W]``."""
        _, batch, channels, height, width = maps.shape
        edges = len(self.sending)
        tokens = maps.flatten(3).transpose(2, 3)  # [V, B, H * W, C]
        sending = tokens.index_select(0, self.sending).reshape(edges, -1, channels)
        bias = self.in_bias[:, None]
        if self.cross_view:
            receiving = tokens.index_select(0, self.receiving).reshape(edges, -1, channels)
            weight = self.in_weight.transpose(1, 2)
            query = torch.baddbmm(bias[..., :channels], receiving, weight[..., :channels])
            key, value = torch.baddbmm(bias[..., channels:], sending, weight[..., channels:]).chunk(2, dim=2)
        else:
            query, key, value = torch.baddbmm(bias, sending, self.in_weight.transpose(1, 2)).chunk(3, dim=2)
        shape = (edges * batch, 1, height * width, channels)
        attended = functional.scaled_dot_product_attention(
            query.reshape(shape), key.reshape(shape), value.reshape(shape)
        ).view(edges, -1, channels)
        projected = torch.baddbmm(self.out_bias[:, None], attended, self.out_weight.transpose(1, 2))
        normed = functional.layer_norm(projected.relu(), (channels,))
        messages = torch.addcmul(self.norm_bias[:, None], normed, self.norm_weight[:, None])
        return messages.view(edges, batch, height, width, channels).permute(0, 1, 4, 2, 3)
