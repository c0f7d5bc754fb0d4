"""The device that computes: a GPU where there is one, else the CPU."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.base.gpu_support import INSTALL_OTHER, describe_build, describe_cards, is_supported

__all__ = ["MissingGpuError", "device_name", "exact_float32", "gpu_failure", "hold_on_device", "select_device"]

_FAILURE = re.compile(
    r"CUDA (driver |unknown )?error|cuDNN error|CUBLAS_STATUS_|No CUDA GPUs are available|cudaGetDevice"
)


class MissingGpuError(InputError):
    """This process was given a GPU, and CUDA finds none: the driver or the GPU has failed."""


def select_device(wanted: str, key: str) -> torch.device:
    """Device for ``auto``, ``cpu`` or ``cuda``.

    A job that was given a GPU does not fall back to the CPU, where it would compute for days, or until its time
    limit.

    Args:
        wanted: the configured value.
        key: the configuration's key, for the message.

    Raises:
        MissingGpuError: ``CUDA_VISIBLE_DEVICES`` names a GPU, as Slurm sets it for a job that has one, and there is
            none.
        InputError: ``cuda`` was asked for and there is none, or this build of torch cannot compute on it.
    """
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        if not is_supported(torch.cuda.get_device_capability(), torch.cuda.get_arch_list()):
            raise InputError(f"{key}: the GPU is {describe_cards()}; {describe_build()}; {INSTALL_OTHER}")
        return torch.device("cuda")
    handed = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    if handed not in ("", "-1", "NoDevFiles"):  # the last is what an older Slurm says to a job without a GPU
        raise MissingGpuError(
            f"{key}: CUDA finds no GPU, but CUDA_VISIBLE_DEVICES={handed} names one ({describe_cards()}; "
            f"{describe_build()}); where the driver is older than that, {INSTALL_OTHER}; without that variable the CPU "
            "computes"
        )
    if wanted == "cuda":
        raise InputError(f"{key}: expected a CUDA device, found none on this machine; set it to auto or cpu")
    return torch.device("cpu")


def device_name(device: torch.device) -> str:
    """Name of a device: the GPU's model, or the processor's architecture."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu {platform.machine()}"


def hold_on_device(values: Tensor, device: torch.device) -> Tensor:
    """Values on a device, for good, where they take at most half of the memory that is free there; else as they are.

    The other half is for what is computed with them.
    """
    if device.type == "cuda" and values.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
        return values
    return values.to(device)


def gpu_failure(error: BaseException) -> str | None:
    """What a GPU reported when it failed, in one line; None for any other error, a full GPU memory among them."""
    first = next(iter(str(error).strip().splitlines()), "")
    if isinstance(error, MissingGpuError | torch.AcceleratorError) or (
        isinstance(error, RuntimeError) and _FAILURE.search(first)
    ):
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
