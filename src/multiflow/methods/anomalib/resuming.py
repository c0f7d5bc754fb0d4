"""Lightning's checkpoints go where all methods' do, and an interrupted training gives the same model."""

from __future__ import annotations

import random
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.plugins import CheckpointIO

from multiflow.methods.work import Work

__all__ = ["KeepCheckpoint", "WorkCheckpoints"]

_SETTINGS = ("hyper_parameters", "hparams_name")  # a run has its own, and these may hold objects


class WorkCheckpoints(CheckpointIO):
    """Writes and reads the one checkpoint of a training.

    Args:
        work: the training's.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._state: dict[str, Any] = {}

    def resume(self) -> str | None:
        """A name for Lightning where there is a checkpoint of this training, else None."""
        return str(self._work.checkpoint) if self._work.resume(self._state.update) else None

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write Lightning's state."""
        self._work.save({name: value for name, value in checkpoint.items() if name not in _SETTINGS})

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """The state that :meth:`resume` found."""
        return self._state

    def remove_checkpoint(self, path: Any) -> None:
        """It is removed where the training has ended."""


class KeepCheckpoint(Callback):
    """Saves a checkpoint between epochs, with the states of all random generators.

    Args:
        every: epochs.
    """

    def __init__(self, every: int) -> None:
        self._every = every

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Save before an epoch: at the end of one its learning rate has not been changed yet."""
        if trainer.current_epoch > 0 and trainer.current_epoch % self._every == 0:
            # Lightning does so next, and would resume with what it takes for the rest of the epoch before.
            trainer.fit_loop.epoch_loop.batch_progress.reset_on_run()
            trainer.save_checkpoint("checkpoint")

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Add the generators' states as plain values."""
        name, keys, *rest = np.random.get_state(legacy=True)
        checkpoint["generators"] = {
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all(),
            "numpy": [name, np.asarray(keys).tolist(), *rest],
            "python": random.getstate(),
        }

    def on_load_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on drawing where the checkpoint was made."""
        states = checkpoint["generators"]
        torch.set_rng_state(states["torch"])
        torch.cuda.set_rng_state_all(states["cuda"])
        np.random.set_state(tuple(states["numpy"]))
        version, internal, rest = states["python"]
        random.setstate((version, tuple(internal), rest))
