"""The condition of the decoders: where a pixel lies, as sines and cosines of its column and row."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["position_code"]


def position_code(channels: int, height: int, width: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Code of every position of a feature map.

    The first half of the channels codes the column and is the same in all rows; the second codes the row. In each, a
    sine and a cosine alternate, and the k-th pair has the frequency 10000^(-2k / (channels / 2)).

    Example:
        >>> position_code(8, 2, 3).shape
        torch.Size([8, 2, 3])

    Args:
        channels: D, a multiple of 4.
        height, width: of the map.
        dtype: of the code; it is computed in float64.

    Returns:
        [D, height, width].

    Raises:
        ValueError: D is no multiple of 4.
    """
    if channels % 4:
        raise ValueError(f"a position code has a multiple of 4 channels, found {channels}")
    half = channels // 2
    frequency = 10000.0 ** (-2 * torch.arange(half // 2, dtype=torch.float64) / half)
    code = torch.empty(channels, height, width, dtype=torch.float64)
    for start, size, view in ((0, width, (1, 1, width)), (half, height, (1, height, 1))):
        angle = (frequency[:, None] * torch.arange(size, dtype=torch.float64)).view(half // 2, *view[1:])
        code[start : start + half : 2] = angle.sin()
        code[start + 1 : start + half : 2] = angle.cos()
    return code.to(dtype)
