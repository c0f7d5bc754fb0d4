"""Views in chunks: a GPU computes all of them at once, a CPU as many as stay in its cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["join_chunks", "join_views", "single_views", "split_views"]

_CACHE = 4 * 2**20
"""Bytes of a chunk on a CPU. Larger ones are written to memory and read from there by each elementwise step."""


def split_views(maps: Tensor) -> Sequence[Tensor]:
    """Return ``[V, B, C, H, W]`` in chunks of equally many views; the last one may have fewer."""
    fitting = len(maps) if maps.device.type != "cpu" else _CACHE // max(1, maps[0].nbytes)
    return maps.split(max(1, fitting))


def join_chunks(chunks: Sequence[Tensor]) -> Tensor:
    """Return all views of the chunks; a single one is not copied."""
    return chunks[0] if len(chunks) == 1 else torch.cat(list(chunks))


def single_views(chunk: Tensor) -> Sequence[Tensor]:
    """Return the views of a chunk; that of a single one is no copy, in the backward pass neither."""
    return [chunk.squeeze(0)] if len(chunk) == 1 else chunk.unbind()


def join_views(views: Sequence[Tensor]) -> Tensor:
    """Return views as a chunk; a single one is not copied."""
    return views[0].unsqueeze(0) if len(views) == 1 else torch.stack(list(views))
