"""Second names (hard links) of what a training made, by which it outlives Snakemake's deletion of outputs."""

from __future__ import annotations

import logging
import os
from pathlib import Path

__all__ = ["forget_second_names", "link", "second_name"]

logger = logging.getLogger(__name__)

_MARK = ".finished"


def second_name(made: Path, checkpoint: Path) -> Path:
    """The second name of a file that a training made, beside its checkpoint."""
    return checkpoint.with_name(f"{checkpoint.stem}{_MARK}{made.suffix}")


def link(made: Path, name: Path) -> None:
    """A second name for a file, which costs no space; a file system without such links does without."""
    name.parent.mkdir(parents=True, exist_ok=True)
    name.unlink(missing_ok=True)
    try:
        os.link(made, name)
    except OSError as error:
        logger.info("%s: no second name for %s (%s)", name, made, error.strerror)


def forget_second_names(checkpoints: Path) -> None:
    """Remove the second names of all trainings, so that a flow that is deleted gives its space back.

    Args:
        checkpoints: the run's folder of checkpoints.
    """
    for path in checkpoints.rglob(f"*{_MARK}.*"):
        path.unlink(missing_ok=True)
