"""The device that computes: a GPU where there is one, else the CPU."""

from __future__ import annotations

import platform

import torch

from multiflow.errors import InputError

__all__ = ["device_name", "select_device"]


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
