"""Trainings of small pictures on the packaged EfficientNet-Lite0."""

from __future__ import annotations

from pathlib import Path

import torch

from multiflow.features.pretrained import fetch_weights
from multiflow.features.settings import Pretrained
from multiflow.methods.contract import Model
from multiflow.methods.model import write_model
from multiflow.methods.work import Work

__all__ = ["CPU", "LITE0", "NETWORK", "lite0_weights", "work_in", "written"]

CPU = torch.device("cpu")
LITE0 = "tf_efficientnet_lite0.in1k"
NETWORK = {"backbone": LITE0, "weights": "package"}


def lite0_weights(folder: Path) -> dict[str, Path]:
    """The network's weights, as the rule ``fetch_weights`` would write them."""
    path = folder / f"{LITE0}.safetensors"
    fetch_weights(Pretrained.model_validate(NETWORK), path)
    return {LITE0: path}


def work_in(folder: Path, weights: dict[str, Path], workers: int = 0) -> Work:
    """A place of work; one in the same folder goes on from its checkpoint."""
    folder.mkdir(exist_ok=True)
    torch.set_num_threads(1)  # as train_model sets them
    return Work(CPU, 1, folder / "checkpoint.pt", "fingerprint", weights, place="mine on part", workers=workers)


def written(folder: Path, model: Model) -> bytes:
    """The bytes of a model's file."""
    write_model(folder / "model.safetensors", model)
    return (folder / "model.safetensors").read_bytes()
