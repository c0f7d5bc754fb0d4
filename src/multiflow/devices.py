"""The device that computes: a GPU where there is one, else the CPU."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from multiflow.errors import InputError

__all__ = ["device_name", "exact_float32", "gpu_failure", "select_device"]

_FAILURE = re.compile(
    r"CUDA (driver |unknown )?error|cuDNN error|CUBLAS_STATUS_|No CUDA GPUs are available|cudaGetDevice"
)


def select_device(wanted: str, key: str) -> torch.device:
    """Device for ``auto``, ``cpu`` or ``cuda``.

    Args:
        wanted: the configured value.
        key: the configuration's key, for the message.

    Raises:
        InputError: ``cuda`` was asked for and there is none.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InputError(f"{key}: expected a CUDA device, found none on this machine; set it to auto or cpu")
    return torch.device(wanted)


def device_name(device: torch.device) -> str:
    """Name of a device: the GPU's model, or the processor's architecture."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu {platform.machine()}"


def gpu_failure(error: BaseException) -> str | None:
    """What a GPU reported when it failed, in one line; None for any other error, a full GPU memory among them."""
    first = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, torch.AcceleratorError) or (isinstance(error, RuntimeError) and _FAILURE.search(first)):
        return first
    return None


@contextmanager
def exact_float32(threads: int) -> Iterator[None]:
    """Compute in full float32 (no TF32, no autotuned kernels) on this many CPU threads."""
    before = torch.get_num_threads(), torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    torch.set_num_threads(threads)
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = before[1:]
