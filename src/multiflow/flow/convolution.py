"""All messages into a view as one convolution over its concatenated neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from multiflow.views import CameraGraph

__all__ = ["bias_matrix", "fused_convolution", "mixing_matrices", "replicate_pad"]


def replicate_pad(maps: Tensor, padding: int) -> Tensor:
    """Pad the last two dimensions of a contiguous ``[V, B, C, H, W]`` by repeating the border."""
    if padding == 0:
        return maps
    views, batch, channels, height, width = maps.shape
    padded = functional.pad(
        maps.reshape(views * batch, channels, height, width), [padding] * 4, mode="replicate"
    )
    return padded.view(views, batch, channels, height + 2 * padding, width + 2 * padding)


@lru_cache(maxsize=64)
def mixing_matrices(
    graph: CameraGraph, messages_are_edges: bool, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, ...]:
    """Return, per view, the matrix ``[1 + neighbours, sources]`` that selects and weights its sources.

    The first row selects the view itself, the others its messages with the weight 1/|N| (paper equation 4).
    Sources are the views, followed by one source per edge when ``messages_are_edges``: then a message is read
    from its edge, else from the sending view.
    """
    count = graph.views + (len(graph.edges) if messages_are_edges else 0)
    matrices = []
    edge = graph.views
    for view, senders in enumerate(graph.neighbors):
        matrix = torch.zeros(1 + len(senders), count, dtype=dtype)
        matrix[0, view] = 1
        for row, sender in enumerate(senders, start=1):
            matrix[row, edge if messages_are_edges else sender] = 1 / len(senders)
            edge += 1
        matrices.append(matrix.to(device))
    return tuple(matrices)


@lru_cache(maxsize=64)
def bias_matrix(graph: CameraGraph, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return ``[V, V + edges]``: how the biases, ordered as in `mixing_matrices`, add up in every view."""
    blocks = [
        torch.full((1, 1 + len(senders)), 1 / max(len(senders), 1), dtype=dtype)
        for senders in graph.neighbors
    ]
    for block in blocks:
        block[0, 0] = 1
    matrix: Tensor = torch.block_diag(*blocks)  # type: ignore[no-untyped-call]
    return matrix.to(device)


class _FusedConvolution(Function):
    """Replicate padding, selection of the sources of every view and one convolution per view.

    Written as one function because the padded and concatenated copies are the largest intermediates of a
    training step and cheap to make: the backward pass makes them again instead of keeping them.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx, maps: Tensor, bias: Tensor, padding: int, mixing: Sequence[Tensor], *weights: Tensor
    ) -> Tensor:
        rows, size = _padded_rows(maps, padding)
        outputs = []
        for view, (matrix, weight) in enumerate(zip(mixing, weights, strict=True)):
            inputs = _select(matrix, rows, size)
            outputs.append(torch.conv2d(inputs, weight, bias[view]))
        ctx.save_for_backward(maps, *weights)
        ctx.padding = padding  # type: ignore[attr-defined]
        ctx.mixing = mixing  # type: ignore[attr-defined]
        return torch.stack(outputs)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        maps, *weights = ctx.saved_tensors  # type: ignore[attr-defined]
        padding, mixing = ctx.padding, ctx.mixing  # type: ignore[attr-defined]
        views, batch, channels, height, width = maps.shape
        rows, size = _padded_rows(maps, padding)
        rows_gradient = torch.zeros_like(rows, memory_format=torch.contiguous_format)
        weight_gradients, bias_gradients = [], []
        for matrix, weight, view_gradient in zip(mixing, weights, gradient.contiguous(), strict=True):
            inputs_gradient, weight_gradient, bias_gradient = torch.ops.aten.convolution_backward(
                view_gradient,
                _select(matrix, rows, size),
                weight,
                [weight.shape[0]],
                [1, 1],
                [0, 0],
                [1, 1],
                False,
                [0, 0],
                1,
                [True, True, True],
            )
            rows_gradient.baddbmm_(
                matrix.t().expand(batch, -1, -1), inputs_gradient.view(batch, len(matrix), rows.shape[2])
            )
            weight_gradients.append(weight_gradient)
            bias_gradients.append(bias_gradient)
        maps_gradient = rows_gradient.view(batch, views * channels, *size)
        if padding:
            # Only the shape of the second argument is read.
            shape = maps.view(batch, views * channels, height, width)
            maps_gradient = torch.ops.aten.replication_pad2d_backward(maps_gradient, shape, [padding] * 4)
        maps_gradient = maps_gradient.view(batch, views, channels, height, width).transpose(0, 1).contiguous()
        return maps_gradient, torch.stack(bias_gradients), None, None, *weight_gradients


def _padded_rows(maps: Tensor, padding: int) -> tuple[Tensor, tuple[int, int]]:
    """Return the padded maps as ``[B, V, C * H * W]`` and their height and width."""
    padded = replicate_pad(maps, padding)
    return padded.flatten(2).transpose(0, 1), (padded.shape[3], padded.shape[4])


def _select(matrix: Tensor, rows: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the weighted sources of one view, concatenated: ``[B, sources * C, H, W]``."""
    return torch.bmm(matrix.expand(len(rows), -1, -1), rows).view(len(rows), -1, *size)


def fused_convolution(
    maps: Tensor, weights: Sequence[Tensor], bias: Tensor, padding: int, mixing: Sequence[Tensor]
) -> Tensor:
    """Convolve each view's sources, ``[S, B, C, H, W]``, with its own kernel to ``[V, B, O, H, W]``.

    Args:
        maps: the sources, see `mixing_matrices`.
        weights: per view ``[O, (1 + neighbours) * C, k, k]``.
        bias: ``[V, O]``.
        padding: replicate padding, k // 2.
        mixing: per view which sources it reads with which weight.
    """
    output: Tensor = _FusedConvolution.apply(maps.contiguous(), bias, padding, mixing, *weights)
    return output
