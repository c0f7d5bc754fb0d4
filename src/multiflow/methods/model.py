"""The file of a trained model: one safetensors file, whose header says what made it.

The workflow reads this file at every start: torch is imported where it is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import safetensors

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.methods.contract import Model

__all__ = ["read_metadata", "read_model", "write_model"]

_FORMAT = "multiflow.model.1"


def write_model(path: str | Path, model: Model) -> None:
    """Write a model; the file appears whole or not at all, and equal models give equal bytes.

    Args:
        path: the file.
        model: its tensors lie on any device; its metadata are values that JSON can hold.
    """
    import torch
    from safetensors.torch import save_file

    from multiflow.base.weights import tensors_sha256

    # Copies, because safetensors refuses tensors that share memory.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.tensors.items()
    }
    # One key, because safetensors writes several in random order.
    header = {"format": _FORMAT, "metadata": dict(model.metadata), "tensors_sha256": tensors_sha256(tensors)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"multiflow": json.dumps(header, sort_keys=True)})


def read_metadata(path: str | Path) -> dict[str, Any]:
    """The metadata of a model's file, without reading its tensors.

    Raises:
        InputError: there is no such file, or it is truncated or another one.
    """
    with _opened(path, "np") as file:
        text = (file.metadata() or {}).get("multiflow")
    try:
        header = json.loads(text or "{}")
    except ValueError as error:
        raise InputError(
            f"{path}: metadata: expected JSON, found other text ({error}): train the model again"
        ) from None
    found = header.get("format") if isinstance(header, dict) else header
    if found != _FORMAT:
        raise InputError(f"{path}: format: expected {_FORMAT}, found {found!r:.60}: give the file of a trained model")
    metadata: Any = header.get("metadata")
    if not isinstance(metadata, dict):
        raise InputError(f"{path}: metadata: expected an object, found {metadata!r:.60}: train the model again")
    return metadata


def read_model(path: str | Path) -> Model:
    """The model in a file, on the CPU.

    Raises:
        InputError: there is no such file, or it is truncated or another one.
    """
    metadata = read_metadata(path)
    with _opened(path, "pt") as file:
        tensors: Mapping[str, Any] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    return Model(tensors, metadata)


@contextmanager
def _opened(path: str | Path, framework: Literal["np", "pt"]) -> Iterator[Any]:
    try:
        with safetensors.safe_open(path, framework) as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: expected a trained model, found no file: train it first") from None
    except (safetensors.SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: expected a whole safetensors file, found one that can't be read ({reason}): "
            "delete it and train the model again"
        ) from None
