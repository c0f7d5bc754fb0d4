"""The learning rate: a cosine over the meta-epochs, and a linear rise over the batches of the first ones."""

from __future__ import annotations

import math

from multiflow.methods.cflow.settings import Training

__all__ = ["cosine", "learning_rate"]


def learning_rate(training: Training, epoch: int, batch: int, batches: int) -> float:
    """Learning rate of one batch of images.

    Args:
        training: the settings.
        epoch: the meta-epoch, from 0.
        batch: the batch of images within it, from 0.
        batches: those of a meta-epoch.
    """
    warm_up = training.warm_up_epochs
    if epoch >= warm_up:
        return _cosine(training, epoch)
    start = training.warm_up_share * training.learning_rate
    return start + (batch + epoch * batches) / (warm_up * batches) * (_cosine(training, warm_up) - start)


def cosine(rate: float, final_share: float, epoch: int, epochs: int) -> float:
    """Learning rate that falls from one meta-epoch to the next.

    Args:
        rate: of the first meta-epoch.
        final_share: what would be left of it behind the last one.
        epoch: the meta-epoch, from 0.
        epochs: their number.
    """
    last = final_share * rate
    return last + (rate - last) * (1 + math.cos(math.pi * epoch / epochs)) / 2


def _cosine(training: Training, epoch: int) -> float:
    return cosine(training.learning_rate, training.final_share, epoch, training.meta_epochs)
