"""Whether a model's features of all training pictures fit into memory: told by the first batch, before a node dies.

PatchCore, PaDiM and their like collect the features of every picture, and put them into one tensor at the end.
"""

from __future__ import annotations

from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

from multiflow.base.errors import InputError
from multiflow.base.memory import free_bytes
from multiflow.methods.anomalib.settings import Settings

__all__ = ["CheckRoom", "collected_bytes"]

_COPIES = 2  # the batches' features, and the one tensor that they become


class CheckRoom(Callback):
    """Stops a training whose collected features would not fit.

    Args:
        settings: the method's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the first batch.

        Raises:
            InputError: there is not enough memory.
        """
        if batch_idx > 0 or trainer.current_epoch > 0:
            return
        batches = int(trainer.num_training_batches)
        collected = collected_bytes(pl_module)
        needed, free = (_COPIES * batches - 1) * collected, free_bytes(pl_module.device)
        if needed > free:
            raise InputError(
                f"{self._settings.model} of anomalib collects {batches * collected / 1e9:.1f} GB of features from the "
                f"training images and needs twice that: expected {needed / 1e9:.1f} GB of free memory on "
                f"{pl_module.device.type}, found {free / 1e9:.1f} GB; give the job more (mem_mb of "
                "train_model in the profile's set-resources), or take a smaller image_size or fewer settings.layers"
            )


def collected_bytes(module: nn.Module) -> int:
    """Bytes of all tensors in lists of a model, which are no parameters or buffers."""
    return sum(
        tensor.nbytes
        for part in module.modules()
        for value in vars(part).values()
        if isinstance(value, list)
        for tensor in value
        if isinstance(tensor, Tensor)
    )
