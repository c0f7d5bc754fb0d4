"""Finished trainings outlive Snakemake's deletion of their outputs: hard links beside the checkpoint.

Trainings of one job, and jobs that were submitted together, are run again together when one of them fails, and
Snakemake deletes what the others had made. The link gives a finished training its outputs back.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from multiflow.base.errors import InputError
from multiflow.methods.model import read_metadata

__all__ = ["checkpoint_of", "forget_all_finished", "forget_finished", "keep_finished", "restore_finished"]

logger = logging.getLogger(__name__)

_MARK = ".finished"


def checkpoint_of(folder: Path, experiment: str, class_name: str, seed: int) -> Path:
    """The checkpoint of a training, outside of its outputs, which Snakemake would delete before a second attempt.

    Args:
        folder: of the run.
        experiment, class_name, seed: the training.
    """
    return folder / "checkpoints" / experiment / class_name / f"seed{seed}.pt"


def keep_finished(checkpoint: Path, *outputs: Path) -> None:
    """Link a training's outputs beside its checkpoint, which costs no space."""
    for made in outputs:
        _link(made, _kept(made, checkpoint))


def restore_finished(checkpoint: Path, fingerprint: str, model: Path, history: Path) -> bool:
    """Give a training that was finished before its outputs back.

    Args:
        checkpoint: of the training.
        fingerprint: of what is to be trained; a training of other settings or data is left alone.
        model, history: the outputs.

    Returns:
        Whether there was such a training.
    """
    kept_model, kept_history = _kept(model, checkpoint), _kept(history, checkpoint)
    try:
        known = read_metadata(kept_model).get("fingerprint")
    except InputError:
        return False
    if known != fingerprint or not kept_history.exists():
        return False
    logger.info("%s: this training was finished before; its model is used again", kept_model)
    _link(kept_history, history)
    _link(kept_model, model)
    return model.exists()


def forget_finished(checkpoint: Path) -> None:
    """Remove the links of one training, which is then made again.

    Args:
        checkpoint: of the training.
    """
    for path in checkpoint.parent.glob(f"{checkpoint.stem}{_MARK}.*"):
        path.unlink(missing_ok=True)


def forget_all_finished(checkpoints: Path) -> None:
    """Remove the links of all trainings, so that a model that is deleted gives its space back.

    Args:
        checkpoints: the run's folder of checkpoints.
    """
    for path in checkpoints.rglob(f"*{_MARK}.*"):
        path.unlink(missing_ok=True)


def _kept(made: Path, checkpoint: Path) -> Path:
    return checkpoint.with_name(f"{checkpoint.stem}{_MARK}{made.suffix}")


def _link(made: Path, name: Path) -> None:
    name.parent.mkdir(parents=True, exist_ok=True)
    name.unlink(missing_ok=True)
    try:
        os.link(made, name)
    except OSError as error:  # a file system without hard links does without
        logger.info("%s: no link to %s (%s)", name, made, error.strerror)
