"""One step of the first stage: the classifier is trained on pictures with synthetic defects."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from multiflow.methods.cflow.schedule import cosine
from multiflow.methods.clscnf.classifier import DefectClassifier
from multiflow.methods.clscnf.settings import Tuning

__all__ = ["ClassifierTraining", "loss", "tuning_rate"]


class ClassifierTraining:
    """A classifier and its optimizer.

    Args:
        classifier: on the device.
        tuning: the settings.
    """

    def __init__(self, classifier: DefectClassifier, tuning: Tuning) -> None:
        self.classifier = classifier.train()
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
            The loss before the step.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        mean = loss(self.classifier(images, tuned), target)
        self.optimizer.zero_grad()
        mean.backward()
        self.optimizer.step()
        return float(mean.detach())


def loss(probability: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy with soft targets, the mean over all pixels; logarithms are clamped at -100."""
    return F.binary_cross_entropy(probability, target)


def tuning_rate(tuning: Tuning, epoch: int) -> float:
    """Learning rate of a meta-epoch of the first stage, from 0; there is no warm-up."""
    return cosine(tuning.learning_rate, tuning.final_share, epoch, tuning.epochs)
