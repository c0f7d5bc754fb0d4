"""Training of any model of anomalib by Lightning, with the pictures, progress and checkpoints of this program."""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from torch import Tensor

from multiflow.base.devices import exact_float32
from multiflow.base.errors import InputError
from multiflow.methods.anomalib.building import Built, build
from multiflow.methods.anomalib.checkpoint import restore, to_model
from multiflow.methods.anomalib.offline import offline
from multiflow.methods.anomalib.pictures import Pictures, read_pictures
from multiflow.methods.anomalib.reporting import Report, long_loops
from multiflow.methods.anomalib.resuming import KeepCheckpoint, WorkCheckpoints
from multiflow.methods.anomalib.room import CheckRoom
from multiflow.methods.anomalib.scoring import predict
from multiflow.methods.anomalib.settings import Settings
from multiflow.methods.contract import Model, Samples
from multiflow.methods.work import Work

__all__ = ["train_anomalib"]


def train_anomalib(samples: Samples, settings: Settings, seed: int, work: Work) -> Model:
    """Train a model on a class's normal samples, each view an image of its own.

    A pass over all images is recorded as ``epoch``, ``seconds`` and, where the model has an optimizer, ``loss``. On a
    CPU an interrupted training gives the same bytes as one that was not. There is no validation, for which the library
    takes the test set: no thresholds, no ranges of scores, no early stop.

    Args:
        samples: the training samples.
        settings: the method's.
        seed: decides all that is random.
        work: device, progress, the network's weights, and the checkpoint that outlives a killed job.

    Raises:
        InputError: the model refuses its settings or pictures, wants what is not there, has diverged, or scores a
            picture by others or by what its tensors don't hold.
    """
    pictures = work.once("pictures", partial(read_pictures, samples, settings, work))
    pl.seed_everything(seed, verbose=False)
    built = build(settings, work.weights)
    checkpoints = WorkCheckpoints(work)
    trainer = pl.Trainer(**_arguments(built, settings, work, checkpoints))
    data = Pictures(pictures, built, settings)
    resumed = checkpoints.resume()
    with offline(settings.model), long_loops(work), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice, of loaders and nodes that are not used here
        trainer.fit(built.module, datamodule=data, ckpt_path=resumed)
    built.module.to(work.device).eval()
    fresh = build(settings, work.weights)
    model = to_model(built, fresh)
    restore(fresh, model.tensors)
    fresh.module.to(work.device)
    with exact_float32(work.threads):
        # Negatives: of a picture that a memory bank holds, scores are nothing but rounding errors.
        _check_scores(built, fresh, 255 - pictures[[0, -1]].to(work.device))
    return model


def _arguments(built: Built, settings: Settings, work: Work, checkpoints: WorkCheckpoints) -> dict[str, Any]:
    """What Lightning's trainer is called with: the model's own wishes, and no logger, folder or validation."""
    own = dict(built.module.trainer_arguments)
    epochs, given = own.get("max_epochs"), settings.training.epochs
    name = settings.model
    if epochs is None and given is None:
        raise InputError(f"training.epochs: expected a number, {name} of anomalib has none of its own; set it")
    if None not in (epochs, given) and epochs != given:
        raise InputError(f"training.epochs: {name} of anomalib takes {epochs}, found {given}; leave it empty")
    return own | {
        "accelerator": "gpu" if work.device.type == "cuda" else "cpu",
        "devices": 1,
        "max_epochs": given or epochs,
        "callbacks": [CheckRoom(settings), Report(settings, work), KeepCheckpoint(settings.training.checkpoint_every)],
        # Lightning would take a Slurm job for one of several processes.
        "plugins": [LightningEnvironment(), checkpoints],
        "default_root_dir": work.checkpoint.parent,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "limit_val_batches": 0,
        "num_sanity_val_steps": 0,
    }


def _check_scores(built: Built, stored: Built, pictures: Tensor) -> None:
    """A stored model scores as the trained one, and a picture as it does beside another one.

    Raises:
        InputError: it does not.
    """
    together, alone = predict(built, pictures), predict(built, pictures[:1])
    again = predict(stored, pictures[:1])
    name = built.module.name
    for first, second in zip(alone, again, strict=True):
        if not _equal(first, second):
            raise InputError(
                f"model: {name} of anomalib keeps what it has learned outside of its tensors, so it cannot be stored; "
                "take another"
            )
    for first, second in zip(alone, together, strict=True):
        if not _equal(first, None if second is None else second[:1]):
            raise InputError(
                f"model: {name} of anomalib scores a picture by the others of its batch, so that no score is its own; "
                "take another"
            )


def _equal(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None:
        return first is second
    # Sums of a batch of another size differ in their last digits.
    return torch.allclose(first, second, rtol=1e-3, atol=1e-3 * float(first.abs().max()), equal_nan=True)
