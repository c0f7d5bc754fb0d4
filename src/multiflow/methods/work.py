"""What a training gets beside its data: where it computes, how it reports, and how it survives a kill."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch

from multiflow.base.files import atomic_path
from multiflow.base.progress import Progress
from multiflow.base.usage import Meter, Usage
from multiflow.methods.checks import checked_model, checked_number
from multiflow.methods.contract import Model
from multiflow.methods.stages import Stages

__all__ = ["Work"]

logger = logging.getLogger(__name__)

Made = TypeVar("Made")


@dataclass
class Work:
    """One training's place of work.

    Args:
        device: where it computes.
        threads: CPU threads; torch is set to as many already.
        checkpoint: file that outlives a killed job; it is removed when the training has ended.
        fingerprint: checksum of all that decides the training's result; a checkpoint of another one is not used.
        weights: files of the pretrained networks that the method's needs name, by network.
        history: what :meth:`record` noted, a line of the history file each.
        place: experiment and class, for errors.
        stages: where models of earlier stages go; None where the experiment asks for the last one only.
        workers: processes beside it that may prepare what it reads, see :func:`multiflow.base.processes.ordered_map`.
        shared: what :meth:`once` has made for all seeds that this process trains; None where it trains one.
    """

    device: torch.device
    threads: int
    checkpoint: Path
    fingerprint: str
    weights: Mapping[str, Path] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    place: str = "a training"
    stages: Stages | None = None
    workers: int = 0
    shared: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        self.meter = Meter(self.device)
        """Of all attempts at this training; those that were killed count until their last checkpoint."""

    def record(self, **values: float) -> None:
        """Note a step of the training, such as ``epoch`` and ``loss``: figures draw it.

        Raises:
            InputError: a value is no number; at once, so that no finished training is lost by it.
        """
        self.history.append({name: checked_number(value, f"{self.place}: {name}") for name, value in values.items()})

    def progress(self, verb: str, total: int, unit: str, *, done: int = 0) -> Progress:
        """Show how far the training is; see :class:`multiflow.base.progress.Progress`."""
        return Progress(logging.getLogger("multiflow.methods"), verb, total, unit, done=done)

    def keep(self, stage: str, model: Callable[[], Model]) -> None:
        """Keep the model of a stage before the last, if the experiment asks for such; else nothing is done.

        Call it before :meth:`save`, so that no checkpoint lies ahead of a stage that is not kept.

        Args:
            stage: its name, such as ``pass 8``.
            model: makes the model as :meth:`Method.train` would return it if the training ended now.

        Raises:
            InputError: that is no model.
        """
        if self.stages is not None:
            self.stages.keep(stage, checked_model(model(), f"{self.place}: {stage}").tensors)

    def once(self, name: str, make: Callable[[], Made]) -> Made:
        """What is the same for all seeds of an experiment on a class, made by the first that this process trains.

        Args:
            name: of what is made, among all that the method makes so.
            make: makes it from samples and settings alone; nothing may change it afterwards.
        """
        if self.shared is None:
            return make()
        if name not in self.shared:
            self.shared[name] = make()
        made: Made = self.shared[name]
        return made

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint: tensors and plain values, as :func:`torch.save` takes them."""
        values = {"fingerprint": self.fingerprint, "history": self.history, "state": dict(state)}
        values["usage"] = asdict(self.meter.read())
        if self.stages is not None:
            values["stages"] = self.stages.names
        with atomic_path(self.checkpoint) as temporary:
            torch.save(values, temporary)

    def resume(self, restore: Callable[[Any], None]) -> bool:
        """Go on from the checkpoint of the same training, if there is one.

        Args:
            restore: takes what :meth:`save` was given.

        Returns:
            Whether there was one.
        """
        if not self.checkpoint.exists():
            return False
        try:
            stored = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds for a damaged file; none may stop a training
            logger.warning("%s: unreadable checkpoint (%s); starting anew", self.checkpoint, type(error).__name__)
            return False
        if stored.get("fingerprint") != self.fingerprint:
            logger.info("%s: checkpoint of other settings or data; starting anew", self.checkpoint)
            return False
        if self.stages is not None and not self.stages.resume(stored.get("stages", [])):
            logger.warning("%s: the models of its earlier stages are not there; starting anew", self.checkpoint)
            return False
        restore(stored["state"])
        self.history = stored["history"]
        if usage := stored.get("usage"):  # a checkpoint of an earlier version has none
            self.meter.add(Usage(**usage))
        logger.info("resumed from %s after %d steps", self.checkpoint, len(self.history))
        return True

    def history_lines(self) -> str:
        """The history as JSON lines."""
        return "".join(json.dumps(record) + "\n" for record in self.history)
