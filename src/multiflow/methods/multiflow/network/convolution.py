"""All messages into a view as one convolution over its concatenated neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import islice

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional

from multiflow.methods.multiflow.camera_graph import CameraGraph
from multiflow.methods.multiflow.network.chunks import join_views

__all__ = ["bias_matrix", "fused_convolution", "leave_out_of_compilation", "message_sources", "replicate_pad"]


def replicate_pad(maps: Tensor, padding: int) -> Tensor:
    """Pad the last two dimensions of ``[V, B, C, H, W]`` by repeating the border."""
    if padding == 0:
        return maps
    views, batch, channels, height, width = maps.shape
    padded = functional.pad(maps.reshape(views * batch, channels, height, width), [padding] * 4, mode="replicate")
    return padded.view(views, batch, channels, height + 2 * padding, width + 2 * padding)


@dataclass(frozen=True)
class Sources:
    """Which maps every view reads: row s * B + b of the maps ``[S * B, ...]`` is source s of sample b.

    Attributes:
        index: rows in the order in which they are read: by view, by sample, by source.
        weight: of each of these rows, ``[rows, 1]``.
        sizes: number of rows of each view.
    """

    index: Tensor
    weight: Tensor
    sizes: list[int]


# Both tables are kept for later calls, also by those that train: they must not be tensors of inference mode.
@lru_cache(maxsize=64)
@torch.inference_mode(False)
def message_sources(
    graph: CameraGraph, messages_are_edges: bool, batch: int, dtype: torch.dtype, device: torch.device
) -> Sources:
    """Return what every view reads: itself, then its messages with the weight 1/|N| (paper equation 4).

    Sources are the views, followed by one source per edge when ``messages_are_edges``: then a message is read
    from its edge, else from the sending view.
    """
    index, weight, sizes = [], [], []
    edge = graph.views
    for view, senders in enumerate(graph.neighbors):
        messages = range(edge, edge + len(senders)) if messages_are_edges else senders
        edge += len(senders)
        index += [source * batch + sample for sample in range(batch) for source in (view, *messages)]
        weight += [1.0, *(1 / len(senders) for _ in senders)] * batch
        sizes.append(batch * (1 + len(senders)))
    return Sources(torch.tensor(index, device=device), torch.tensor(weight, dtype=dtype, device=device)[:, None], sizes)


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def bias_matrix(graph: CameraGraph, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return ``[V, V + edges]``: how the biases, ordered as in `message_sources`, add up in every view."""
    blocks = [torch.full((1, 1 + len(senders)), 1 / max(len(senders), 1), dtype=dtype) for senders in graph.neighbors]
    for block in blocks:
        block[0, 0] = 1
    matrix: Tensor = torch.block_diag(*blocks)
    return matrix.to(device)


class _FusedConvolution(Function):
    """Replicate padding, selection of the sources of every view and one convolution per view.

    Written as one function because the padded and concatenated copies are the largest intermediates of a
    training step and cheap to make: the backward pass makes them again instead of keeping them.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        maps: Tensor,
        bias: Tensor,
        padding: int,
        sources: Sources,
        views_per_chunk: int,
        *weights: Tensor,
    ) -> tuple[Tensor, ...]:
        inputs = _read(replicate_pad(maps, padding), sources, views_per_chunk)
        ctx.save_for_backward(maps, *weights)
        ctx.padding, ctx.sources, ctx.views_per_chunk = padding, sources, views_per_chunk  # type: ignore[attr-defined]
        outputs = (torch.conv2d(*arguments) for arguments in zip(inputs, weights, bias, strict=True))
        chunks = iter(lambda: list(islice(outputs, views_per_chunk)), [])
        return tuple(map(join_views, chunks))

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        maps, *weights = ctx.saved_tensors  # type: ignore[attr-defined]
        padding, sources, views_per_chunk = ctx.padding, ctx.sources, ctx.views_per_chunk  # type: ignore[attr-defined]
        padded = replicate_pad(maps, padding)
        padded_gradient = torch.zeros_like(padded)
        rows = padded_gradient.view(-1, padded[0, 0].numel())
        weight_gradients, bias_gradients = [], []
        # A view at a time, while its gradient is in the cache; it reads no source twice, so the sums have one order.
        for inputs, weight, view_gradient, index, scale in zip(
            _read(padded, sources, views_per_chunk),
            weights,
            (view for chunk in gradients for view in chunk.contiguous()),
            sources.index.split(sources.sizes),
            sources.weight.split(sources.sizes),
            strict=True,
        ):
            input_gradient, weight_gradient, bias_gradient = torch.ops.aten.convolution_backward(
                view_gradient,
                inputs,
                weight,
                bias_sizes=[weight.shape[0]],
                stride=[1, 1],
                padding=[0, 0],
                dilation=[1, 1],
                transposed=False,
                output_padding=[0, 0],
                groups=1,
                output_mask=[True, True, True],
            )
            rows.index_add_(0, index, input_gradient.view(-1, rows.shape[1]).mul_(scale))
            weight_gradients.append(weight_gradient)
            bias_gradients.append(bias_gradient)
        maps_gradient = padded_gradient
        if padding:
            maps_gradient = torch.ops.aten.replication_pad2d_backward(
                padded_gradient.flatten(0, 1), maps.flatten(0, 1), [padding] * 4
            ).view(maps.shape)
        return maps_gradient, torch.stack(bias_gradients), None, None, None, *weight_gradients


def _read(padded: Tensor, sources: Sources, views_per_chunk: int) -> Iterator[Tensor]:
    """Yield for each view its weighted sources of ``[S, B, C, H, W]``, concatenated: ``[B, sources * C, H, W]``."""
    _, batch, _, height, width = padded.shape
    rows = padded.view(-1, padded[0, 0].numel())
    chunks = [sources.sizes[first : first + views_per_chunk] for first in range(0, len(sources.sizes), views_per_chunk)]
    totals = [sum(sizes) for sizes in chunks]
    for sizes, index, weight in zip(chunks, sources.index.split(totals), sources.weight.split(totals), strict=True):
        read = rows.index_select(0, index).mul_(weight)
        yield from (part.view(batch, -1, height, width) for part in read.split(sizes))


def fused_convolution(
    maps: Tensor, weights: Sequence[Tensor], bias: Tensor, padding: int, sources: Sources, views_per_chunk: int
) -> tuple[Tensor, ...]:
    """Convolve each view's sources, ``[S, B, C, H, W]``, with its own kernel to chunks of ``[V, B, O, H, W]``.

    Args:
        maps: the sources, see `message_sources`.
        weights: per view ``[O, (1 + neighbours) * C, k, k]``.
        bias: ``[V, O]``.
        padding: replicate padding, k // 2.
        sources: which of the maps each view reads.
        views_per_chunk: views of a chunk of the output.
    """
    outputs: tuple[Tensor, ...] = _FusedConvolution.apply(
        maps.contiguous(), bias, padding, sources, views_per_chunk, *weights
    )
    return outputs


@cache
def leave_out_of_compilation() -> None:
    """Let torch.compile run the functions of this module as they are.

    It gives the gradient of the replicate padding wrong strides, would trace the autograd Function under autocast, and
    would not keep the tables. Said here and not by decorators, since those import the compiler in every scoring.
    """
    for function in (replicate_pad, message_sources, bias_matrix, fused_convolution):
        globals()[function.__name__] = torch.compiler.disable(function)
