"""A machine that seems to have a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from adeval import cuda_mem_effic
from torch.overrides import TorchFunctionMode


class CudaOnCpu(TorchFunctionMode):
    """Tensors that are asked for on a GPU are made on the CPU."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if "device" in kwargs and torch.device(kwargs["device"]).type == "cuda":
            kwargs["device"] = torch.device("cpu")
        return function(*args, **kwargs)


def histogram_as_on_a_gpu(scores: torch.Tensor, bins: int, min: float, max: float) -> torch.Tensor:
    """``torch.histc`` on CUDA: the right edge lies in the last bin and in the overflow, too."""
    scores = scores.reshape(-1)
    inside = scores[(scores >= min) & (scores <= max)]
    index = ((inside - min) / (max - min) * bins).long().clamp(max=bins - 1)
    counts = torch.zeros(bins + 2, dtype=torch.float64)
    counts[1:-1] = torch.bincount(index, minlength=bins)
    counts[0] = scores.less(min).count_nonzero()
    counts[-1] = scores.greater_equal(max).count_nonzero()
    return counts


@contextmanager
def emulate_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Place its tensors on the CPU, and let ADEval's histogram count as CUDA does."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(cuda_mem_effic, "_histogram_bins", histogram_as_on_a_gpu)
    with CudaOnCpu():
        yield
