"""Models of earlier stages of a training, beside its checkpoint until the training has ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save_file

from multiflow.base.files import atomic_path
from multiflow.methods.model import storable

__all__ = ["Stages"]


class Stages:
    """Files with the tensors of a training's earlier stages, one each; none of them is held in memory.

    Args:
        checkpoint: of the training; the files lie beside it and outlive a killed job as it does.
        fingerprint: checksum of all that decides the training's result.
    """

    def __init__(self, checkpoint: Path, fingerprint: str) -> None:
        self._checkpoint = checkpoint
        self._fingerprint = fingerprint
        self.names: list[str] = []

    def keep(self, name: str, tensors: Mapping[str, torch.Tensor]) -> None:
        """Write the tensors of one more stage."""
        with atomic_path(self._path(len(self.names))) as temporary:
            save_file(storable(tensors), temporary, {"stage": self._mark(name)})
        self.names.append(name)

    def resume(self, names: list[str]) -> bool:
        """Go on behind the stages of a checkpoint.

        Returns:
            Whether the files of all of them are there, and of this training.
        """
        if any(self._found(index) != self._mark(name) for index, name in enumerate(names)):
            return False
        self.names = list(names)
        return True

    @contextmanager
    def opened(self) -> Iterator[dict[str, dict[str, torch.Tensor]]]:
        """The tensors by stage, in order; they are read from the files where they are used."""
        with ExitStack() as stack:
            found = {}
            for index, name in enumerate(self.names):
                file = stack.enter_context(safetensors.safe_open(self._path(index), framework="pt"))
                found[name] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a mapping)
            yield found

    def forget(self) -> None:
        """Remove the files, also those of a training that was given up."""
        for path in self._checkpoint.parent.glob(f"{self._checkpoint.stem}.stage*.safetensors"):
            path.unlink(missing_ok=True)

    def _path(self, index: int) -> Path:
        return self._checkpoint.with_name(f"{self._checkpoint.stem}.stage{index}.safetensors")

    def _mark(self, name: str) -> str:
        # One key, because safetensors writes several in random order.
        return json.dumps([name, self._fingerprint])

    def _found(self, index: int) -> str | None:
        try:
            with safetensors.safe_open(self._path(index), framework="pt") as file:
                mark: str | None = (file.metadata() or {}).get("stage")
                return mark
        except (safetensors.SafetensorError, OSError):
            return None
