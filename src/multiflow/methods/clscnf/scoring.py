"""Trained networks that score one sample at a time."""

from __future__ import annotations

import torch
from torch import Tensor

from multiflow.methods.clscnf.networks import Networks
from multiflow.methods.clscnf.settings import Settings
from multiflow.methods.contract import Model, Sample, Scores

__all__ = ["ClscnfScorer", "joint_map"]


def joint_map(normality: Tensor, probability: Tensor, weight: float) -> Tensor:
    """Scores of pixels [B, S, S] float64: from minus the number of levels, where all is normal, to the weight.

    The released code adds the highest normality of the images that it scores, which ranks alike; without it, float32,
    in which scores are stored, tells unlikely pixels apart, and no score depends on another image.

    Args:
        normality: of the flows [B, S, S] float64.
        probability: of the classifier [B, S, S] float32.
        weight: of the classifier.
    """
    return weight * probability - normality


class ClscnfScorer:
    """Scores samples, each alone, so that no score depends on the others. An image's score is its map's maximum.

    Args:
        model: the trained networks, and the file of the encoder's weights.
        settings: of its experiment.
        device: where it runs.

    Raises:
        InputError: the model is none of this method, or of another encoder or image size.
    """

    def __init__(self, model: Model, settings: Settings, device: torch.device) -> None:
        self._networks, chosen = Networks.from_model(model, settings, device)
        self._score = settings.score
        self._weight = chosen if settings.weight == "synthetic" else settings.weight

    @torch.inference_mode()
    def __call__(self, sample: Sample) -> Scores:
        """Scores of one sample: a map [V, S, S]."""
        normality, probability = self._networks(sample.images)
        maps = {
            "joint": lambda: joint_map(normality, probability, self._weight),
            "classifier": lambda: probability,
            "flows": lambda: -normality,
        }
        return Scores(maps[self._score]().float().cpu().numpy())
