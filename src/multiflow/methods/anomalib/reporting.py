"""How a training reports: the history, and progress in the form of all methods."""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import lightning.pytorch as pl
import torch
import tqdm
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from multiflow.base.devices import gpu_failure
from multiflow.base.errors import InputError
from multiflow.base.progress import Progress
from multiflow.methods.anomalib.settings import Settings
from multiflow.methods.work import Work

__all__ = ["Report", "long_loops"]


class Report(Callback):
    """Notes every epoch, and says in one line that a model refuses its pictures or has diverged.

    Args:
        settings: the method's.
        work: the training's.
    """

    def __init__(self, settings: Settings, work: Work) -> None:
        self._settings, self._work = settings, work
        self._progress: Progress
        self._losses: list[float] = []
        self._started = 0.0
        self._steps = 0
        self._optimized = False
        # Lightning would put off the end of a job to the end of a batch.
        self._on_termination = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin to count."""
        signal.signal(signal.SIGTERM, self._on_termination)
        batches, epochs = int(trainer.num_training_batches), trainer.max_epochs or 1
        done = trainer.current_epoch * batches
        groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
        # Lightning gives a model without an optimizer one of nothing.
        self._optimized = any(parameter.numel() for group in groups for parameter in group["params"])
        self._progress = self._work.progress("trained", epochs * batches, "batches", done=done)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin an epoch."""
        self._started, self._losses = time.monotonic(), []

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """One more batch."""
        self._steps += 1
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if self._optimized and isinstance(loss, Tensor):
            self._losses.append(float(loss))
        words = f", loss {self._losses[-1]:.4f}" if self._losses else ""
        self._progress.step(f"epoch {trainer.current_epoch + 1}{words}")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the epoch.

        Raises:
            InputError: the loss is not finite.
        """
        values: dict[str, float] = {"epoch": trainer.current_epoch + 1}
        if self._losses:
            values["loss"] = sum(self._losses) / len(self._losses)
            if not math.isfinite(values["loss"]):
                raise InputError(
                    f"{self._work.place}: epoch {values['epoch']}: expected a finite loss, found {values['loss']}; "
                    "lower the model's learning rate, or take other settings"
                )
        self._work.record(**values, seconds=round(time.monotonic() - self._started, 3))

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """What the first batch fails for is its pictures' size, as a rule; later a model says itself what it refuses.

        Raises:
            InputError: it is one of these, and neither the GPU nor its memory.
        """
        refusals = ValueError if self._steps else (ValueError, RuntimeError, AssertionError, IndexError)
        if not isinstance(exception, refusals) or isinstance(exception, torch.OutOfMemoryError):
            return
        if gpu_failure(exception) is None:
            reason = " ".join(str(exception).split())[:200]
            raise InputError(
                f"{self._work.place}: {self._settings.model} of anomalib refuses pictures of "
                f"{self._settings.image_size} px, or its settings ({reason}); change image_size or settings"
            ) from exception


@contextmanager
def long_loops(work: Work) -> Iterator[None]:
    """Show the library's progress bars as lines of the log.

    Args:
        work: the training's.
    """

    def lines(items: Iterable[Any], *arguments: Any, desc: str = "", **options: Any) -> Iterator[Any]:
        total = len(items) if isinstance(items, Sized) else 0
        progress = work.progress(f"{desc.rstrip('. ') or 'prepared'}:", total, "steps")
        for item in items:
            yield item
            progress.step()

    bars = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith("anomalib.") and getattr(module, "tqdm", None) is tqdm.tqdm
    ]
    with ExitStack() as stack:
        for module in bars:
            stack.enter_context(patch.object(module, "tqdm", lines))
        yield
