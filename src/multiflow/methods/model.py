"""The file of a trained model: one safetensors file, whose header says what made it.

The workflow reads this file at every start: torch is imported where it is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import safetensors

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.methods.contract import Model

if TYPE_CHECKING:
    import torch

__all__ = ["read_metadata", "read_model", "storable", "write_model"]

_FORMAT = "multiflow.model.1"


def write_model(path: str | Path, model: Model, stages: Mapping[str, Mapping[str, torch.Tensor]] | None = None) -> None:
    """Write a model; the file appears whole or not at all, and equal models give equal bytes.

    Args:
        path: the file.
        model: its tensors lie on any device; its metadata are values that JSON can hold.
        stages: tensors of earlier stages of the training, on the CPU; of them only what differs from the model's is
            stored. The metadata then name the ``stages``.
    """
    from safetensors.torch import save_file

    from multiflow.base.weights import tensors_sha256

    tensors = storable(model.tensors)
    metadata = dict(model.metadata)
    if stages:
        metadata["stages"] = list(stages)
        last = dict(tensors)
        for index, earlier in enumerate(stages.values()):
            own = {name: tensor for name, tensor in earlier.items() if not _equal(tensor, last.get(name))}
            tensors |= {f"{_prefix(index)}{name}": tensor for name, tensor in own.items()}
    # One key, because safetensors writes several in random order.
    header = {"format": _FORMAT, "metadata": metadata, "tensors_sha256": tensors_sha256(tensors)}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"multiflow": json.dumps(header, sort_keys=True)})


def storable(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies on the CPU, because safetensors refuses tensors that share memory."""
    import torch

    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in tensors.items()
    }


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


def read_model(path: str | Path, stage: str | None = None) -> Model:
    """The model in a file, on the CPU.

    Args:
        path: the file.
        stage: one of the metadata's ``stages``; by default the model is that of the training's end.

    Raises:
        InputError: there is no such file, or it is truncated or another one.
    """
    metadata = read_metadata(path)
    stages = metadata.get("stages", [])
    prefixes = tuple(map(_prefix, range(len(stages))))
    with _opened(path, "pt") as file:
        names = list(file.keys())
        tensors = {name: file.get_tensor(name) for name in names if not name.startswith(prefixes)}
        if stage is not None:
            prefix = prefixes[stages.index(stage)]
            own = [name for name in names if name.startswith(prefix)]
            tensors |= {name.removeprefix(prefix): file.get_tensor(name) for name in own}
    return Model(tensors, metadata)


def _prefix(stage: int) -> str:
    """What the names of a stage's tensors begin with."""
    return f"stage{stage}/"


def _equal(tensor: torch.Tensor, other: torch.Tensor | None) -> bool:
    import torch

    return other is not None and tensor.dtype == other.dtype and torch.equal(tensor, other)


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
