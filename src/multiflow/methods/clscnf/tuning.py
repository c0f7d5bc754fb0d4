"""The first stage: the classifier is trained on pictures with synthetic defects."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from itertools import islice
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.base.processes import ordered_map
from multiflow.methods.cflow.encoder import LevelEncoder
from multiflow.methods.cflow.schedule import cosine
from multiflow.methods.clscnf.classifier import DefectClassifier
from multiflow.methods.clscnf.settings import Tuning
from multiflow.methods.clscnf.synthetic.defects import Defect, Draw
from multiflow.methods.clscnf.synthetic.pictures import NormalPictures
from multiflow.methods.work import Work

__all__ = ["ClassifierTraining", "loss", "normalised", "tune_passes", "tuning_rate"]


class ClassifierTraining:
    """A classifier and its optimizer.

    Args:
        classifier: on the device.
        tuning: the settings.
    """

    def __init__(self, classifier: DefectClassifier, tuning: Tuning) -> None:
        self.classifier = classifier.train()
        self.tuning = tuning
        self.optimizer = torch.optim.Adam(
            classifier.parameters(), lr=tuning.learning_rate, weight_decay=tuning.weight_decay
        )

    def train_on(self, images: Tensor, target: Tensor, rate: float, tuned: bool) -> float:
        """One step.

        Args:
            images: normalised [B, 3, S, S].
            target: labels of their pixels, 0 to 1 [B, S, S].
            rate: the learning rate.
            tuned: whether the encoder is trained, too. Otherwise it has no gradients, so weight decay doesn't move it.

        Returns:
            The loss before the step; no number, and no step, where the classifier gives none.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        probability = self.classifier(images, tuned)
        if not bool(probability.isfinite().all()):
            return math.nan  # for which PyTorch's cross-entropy stops a GPU
        mean = loss(probability, target)
        self.optimizer.zero_grad()
        mean.backward()
        self.optimizer.step()
        return float(mean.detach())

    def values(self) -> dict[str, Any]:
        """All that a checkpoint needs."""
        return {"classifier": self.classifier.state_dict(), "optimizer": self.optimizer.state_dict()}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from :meth:`values`."""
        self.classifier.load_state_dict(values["classifier"])
        self.optimizer.load_state_dict(values["optimizer"])


def tune_passes(
    pictures: NormalPictures,
    state: ClassifierTraining,
    first: int,
    seed: int,
    work: Work,
    save: Callable[[Mapping[str, Any]], None],
) -> None:
    """Train a classifier pass by pass, each on other synthetic defects.

    A pass is recorded as ``tuning_pass``, ``tuning_loss`` (the mean over its images), ``learning_rate`` and
    ``seconds``. Worker processes make the defects.

    Args:
        pictures: of normal parts.
        state: the classifier, after as many passes as were made before.
        first: their number.
        seed: decides the order of the pictures and their defects.
        work: device, progress and history.
        save: keeps the state's values for a later start.

    Raises:
        InputError: the loss is not finite.
    """
    tuning, device = state.tuning, work.device
    count = len(pictures.images) * tuning.repeats
    batches = math.ceil(count / tuning.image_batch)
    progress = work.progress("tuned", tuning.passes * batches, "batches", done=first * batches)
    for number in range(first, tuning.passes):
        started, total = time.monotonic(), 0.0
        epoch = number // tuning.sub_epochs
        rate, tuned = tuning_rate(tuning, epoch), epoch >= tuning.frozen_epochs
        order = np.random.default_rng([seed, number]).permutation(count) % len(pictures.images)
        draws = pictures.draws(order.tolist(), (seed, number))
        with closing(ordered_map(Draw.make, draws, work.workers, ahead=4)) as defects:
            while batch := list(islice(defects, tuning.image_batch)):
                images, target = _tensors(batch, state.classifier.encoder, device)
                found = state.train_on(images, target, rate, tuned)
                total += found * len(batch) / count
                progress.step(f"pass {number + 1}, {'encoder too' if tuned else 'decoder alone'}, loss {found:.4f}")
        if not math.isfinite(total):
            raise InputError(
                f"{work.place}: pass {number + 1} of the classifier: expected a finite loss, found {total}; lower "
                "tuning.learning_rate"
            )
        work.record(
            tuning_pass=number + 1, tuning_loss=total, learning_rate=rate, seconds=round(time.monotonic() - started, 3)
        )
        if (number + 1) % tuning.checkpoint_every == 0 or number + 1 == tuning.passes:
            save(state.values())


def loss(probability: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy with soft targets, the mean over all pixels; logarithms are clamped at -100."""
    return F.binary_cross_entropy(probability, target)


def tuning_rate(tuning: Tuning, epoch: int) -> float:
    """Learning rate of a meta-epoch of the first stage, from 0; there is no warm-up."""
    return cosine(tuning.learning_rate, tuning.final_share, epoch, tuning.epochs)


def normalised(images: Tensor, encoder: LevelEncoder) -> Tensor:
    """Network input [B, 3, S, S] from RGB images [B, S, S, 3] of 0 to 1."""
    return (images.movedim(-1, 1) - encoder.mean) / encoder.std


def _tensors(batch: list[Defect], encoder: LevelEncoder, device: torch.device) -> tuple[Tensor, Tensor]:
    images = torch.from_numpy(np.stack([defect.image for defect in batch])).to(device)
    return normalised(images, encoder), torch.from_numpy(np.stack([defect.target for defect in batch])).to(device)
