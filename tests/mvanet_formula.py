"""Weights of MVANet by formula, as the golden data's description defines them."""

from __future__ import annotations

import csv
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_QKV = ("in_proj_weight", "qkv.weight")


def released_tensors() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors of the released checkpoint that the network has."""
    with open(Path(__file__).parent / "golden/mvanet_state_dict.tsv", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return {row["name"]: tuple(int(n) for n in row["shape"].strip("(),").split(",") if n) for row in rows}


def formula_state(gain: float = 1.0, qkv_gain: float = 2.0) -> dict[str, Tensor]:
    """All tensors of the released checkpoint, with its names."""
    return {name: _tensor(name, shape, gain, qkv_gain) for name, shape in released_tensors().items()}


def _tensor(name: str, shape: tuple[int, ...], gain: float, qkv_gain: float) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    if name.endswith("relative_position_index"):
        return _window_index(12)
    values = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("relative_position_bias_table"):
        values *= 0.5
    elif name.endswith("running_var"):
        values = np.exp(0.2 * values)
    elif name.endswith(("bias", "running_mean")):
        values *= 0.1
    elif len(shape) >= 2:
        values *= (qkv_gain if name.endswith(_QKV) else gain) / np.sqrt(np.prod(shape[1:]))
    elif shape == (1,):  # PReLU
        values = 0.25 + 0.05 * values
    else:
        values = 1 + 0.1 * values
    return torch.from_numpy(values.astype(np.float32))


def _window_index(side: int) -> Tensor:
    row, column = (axis.ravel() for axis in np.mgrid[:side, :side])
    rows, columns = (axis[:, None] - axis + side - 1 for axis in (row, column))
    return torch.from_numpy(rows * (2 * side - 1) + columns)
