"""Views in chunks: a GPU computes all of them at once, a CPU as many as stay in its cache."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["join_chunks", "join_views", "single_views", "split_views"]

_CHUNK_BYTES = 4 * 2**20
"""Of the flow's maps, on a CPU: at full size, where a view has 5.6 MB, a training step of one view at a time took 91 %
of the plain reference's time and one of all views 95 % (benchmarks/training_step.py)."""


def split_views(maps: Tensor) -> Sequence[Tensor]:
    """Return ``[V, B, C, H, W]`` in chunks of equally many views; the last one may have fewer."""
    if maps.device.type != "cpu":
        return [maps]
    # Not `nbytes`, which torch.compile can't trace for sizes that change.
    view = maps[0].numel() * maps.element_size()
    return maps.split(max(1, _CHUNK_BYTES // max(1, view)))


def join_chunks(chunks: Sequence[Tensor]) -> Tensor:
    """Return the views of all chunks, ``[v, ...]`` each, as ``[V, ...]``; a single chunk is not copied."""
    return chunks[0] if len(chunks) == 1 else torch.cat(list(chunks))


def single_views(chunk: Tensor) -> Sequence[Tensor]:
    """Return the views of a chunk ``[v, ...]``, ``[...]`` each; neither a single view nor its gradient is copied."""
    return [chunk.squeeze(0)] if len(chunk) == 1 else chunk.unbind()


def join_views(views: Sequence[Tensor]) -> Tensor:
    """Return views, ``[...]`` each, as a chunk ``[v, ...]``; a single view is not copied."""
    return views[0].unsqueeze(0) if len(views) == 1 else torch.stack(list(views))
