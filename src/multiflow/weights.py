"""Files of network weights: read a checkpoint of any origin, write the one that the stations read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from multiflow.errors import InputError
from multiflow.store import atomic_path

__all__ = ["read_checkpoint", "read_weights", "write_weights"]


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name and provenance of a safetensors file.

    Raises:
        InputError: the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the rule that fetches the weights")
    try:
        with safetensors.safe_open(path, "pt") as file:
            provenance = json.loads((file.metadata() or {}).get("provenance", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, provenance  # noqa: SIM118
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: expected weights, cannot read them ({error}); delete it and rerun") from None


def write_weights(path: Path, state: Mapping[str, Tensor], provenance: Mapping[str, str]) -> None:
    """Write a safetensors file whose metadata holds the provenance as JSON; equal content gives equal bytes."""
    # One entry, because safetensors writes several in random order.
    metadata = {"provenance": json.dumps(dict(provenance), sort_keys=True)}
    with atomic_path(path) as temporary:  # save_file would make a file that other users cannot read
        temporary.write_bytes(safetensors.torch.save(dict(state), metadata))


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """State dict of a checkpoint: a ``.safetensors`` file, or one saved by PyTorch; no code in it is run.

    Raises:
        InputError: the file is missing, damaged, or no state dict.
    """
    if path.suffix == ".safetensors":
        return read_weights(path)[0]
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds on damaged files
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: expected a PyTorch state dict, cannot read it ({reason})") from None
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise InputError(f"{path}: expected a PyTorch state dict, found a {type(content).__name__}")
    return dict(content)
