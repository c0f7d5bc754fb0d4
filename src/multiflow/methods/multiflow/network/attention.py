"""Messages by attention, all edges of the camera graph in one batched call."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from multiflow.methods.multiflow.camera_graph import CameraGraph
from multiflow.methods.multiflow.settings import Network

__all__ = ["EdgeAttention"]


class EdgeAttention(nn.Module):
    """Attention per message, with a layer norm and a ReLU behind it (paper section 4.6).

    Queries, keys and values are the positions of the sending view (self-attention). Across views, the queries are
    those of the receiving view; the keys, too, under the rule of the paper, whose layer norm comes before the ReLU.
    In the released code the keys are those of the sending view and the ReLU comes first. There are neither position
    codes nor residual connections.

    Args:
        graph: which view receives messages from which.
        settings: ``hidden`` channels of a view, ``fusion``, rule and heads of the ``attention``.
        generator: source of the initial parameters; the global one by default.
    """

    sending: Tensor
    receiving: Tensor

    def __init__(self, graph: CameraGraph, settings: Network, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        edges, hidden = len(graph.edges), settings.hidden
        self.cross_view = settings.fusion == "cross_view_attention"
        self.rule = settings.attention
        self.heads = settings.attention_heads
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
            # How many of query, key and value are those of the receiving view.
            own = 2 if self.rule == "paper" else 1
            split = own * channels
            received = torch.baddbmm(bias[..., :split], receiving, weight[..., :split]).chunk(own, dim=2)
            sent = torch.baddbmm(bias[..., split:], sending, weight[..., split:]).chunk(3 - own, dim=2)
            query, key, value = (*received, *sent)
        else:
            query, key, value = torch.baddbmm(bias, sending, self.in_weight.transpose(1, 2)).chunk(3, dim=2)
        shape = (edges * batch, height * width, self.heads, channels // self.heads)
        by_head = [part.reshape(shape).transpose(1, 2) for part in (query, key, value)]
        attended = functional.scaled_dot_product_attention(by_head[0], by_head[1], by_head[2])
        attended = attended.transpose(1, 2).reshape(edges, -1, channels)
        projected = torch.baddbmm(self.out_bias[:, None], attended, self.out_weight.transpose(1, 2))
        if self.rule == "released":
            projected = projected.relu()
        normed = functional.layer_norm(projected, (channels,))
        messages = torch.addcmul(self.norm_bias[:, None], normed, self.norm_weight[:, None])
        if self.rule == "paper":
            messages = messages.relu()
        return messages.view(edges, batch, height, width, channels).permute(0, 1, 4, 2, 3)
