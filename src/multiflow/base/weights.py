"""Files of network weights: read a checkpoint of any origin, write the one that the stations read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.base.provenance import file_sha256

__all__ = ["checked_sha256", "read_checkpoint", "read_weights", "tensors_sha256", "write_weights"]


def checked_sha256(file: Path, source: str, expected: str | None, key: str) -> str:
    """SHA-256 of a file, which must be the expected one where there is one.

    Args:
        file: the file.
        source: where it came from, for the message.
        expected: 64 hexadecimal digits, or None.
        key: the configuration's key that gives them, for the message.

    Raises:
        InputError: it is another file.
    """
    found = file_sha256(file)
    if expected is not None and found != expected:
        raise InputError(
            f"{source}: expected SHA-256 {expected} ({key}), found {found}; the file is damaged or another one: "
            "get it again, or correct the key"
        )
    return found


def read_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by name and provenance of a safetensors file.

    Raises:
        InputError: the file is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the rule fetch_weights")
    try:
        with safetensors.safe_open(path, "pt") as file:
            provenance = json.loads((file.metadata() or {}).get("provenance", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, provenance  # noqa: SIM118
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(f"{path}: expected weights, cannot read them ({error}); delete it and rerun") from None


def write_weights(path: Path, state: Mapping[str, Tensor], provenance: Mapping[str, str]) -> None:
    """Write a safetensors file whose metadata holds the provenance as JSON; equal content gives equal bytes.

    A checksum of the tensors is added, ``tensors_sha256``, see :func:`multiflow.base.tensors.read_provenance`.
    """
    # One entry, because safetensors writes several in random order.
    metadata = {"provenance": json.dumps({**provenance, "tensors_sha256": tensors_sha256(state)}, sort_keys=True)}
    with atomic_path(path) as temporary:  # save_file would make a file that other users cannot read
        temporary.write_bytes(safetensors.torch.save(dict(state), metadata))


def tensors_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of the tensors' names, types, shapes and values."""
    checksum = hashlib.sha256()
    for name in sorted(state):
        # A copy, because a tensor that repeats one number in memory cannot be read as bytes.
        tensor = torch.empty(state[name].shape, dtype=state[name].dtype).copy_(state[name])
        checksum.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        checksum.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return checksum.hexdigest()


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """State dict of a checkpoint: a ``.safetensors`` file, or one saved by PyTorch; no code in it is run.

    Raises:
        InputError: the file is missing, damaged, or no state dict.
    """
    if not path.is_file():
        raise InputError(f"{path}: expected a checkpoint, found no file; give the path of one")
    if path.suffix == ".safetensors":
        return read_weights(path)[0]
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load raises many kinds on damaged files
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: expected a PyTorch state dict, cannot read it ({reason})") from None
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a PyTorch state dict, found a {type(content).__name__}")
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise InputError(
                f"{path}: expected a PyTorch state dict of names and tensors, found {name!r:.60} with a "
                f"{type(value).__name__}"
            )
    return dict(content)
