"""The learning rate: a cosine over the meta-epochs, and a linear rise over the batches of the first ones."""

from __future__ import annotations

import math

from multiflow.methods.cflow.settings import Training

__all__ = ["learning_rate"]


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


def _cosine(training: Training, epoch: int) -> float:
    last = training.final_share * training.learning_rate
    return last + (training.learning_rate - last) * (1 + math.cos(math.pi * epoch / training.meta_epochs)) / 2
