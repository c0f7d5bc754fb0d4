"""Trained decoders that score one sample at a time."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.base.progress import Progress
from multiflow.methods.cflow.checkpoint import from_model
from multiflow.methods.cflow.encoder import create_encoder
from multiflow.methods.cflow.settings import Settings
from multiflow.methods.cflow.training import encode
from multiflow.methods.contract import Model, Sample, Samples, Scores

__all__ = ["CflowScorer", "SurveyScorer", "anomaly_map", "normality"]

logger = logging.getLogger(__name__)


def normality(likelihoods: Sequence[Tensor], maximum: Tensor, size: int) -> Tensor:
    """Sum of the levels' likelihoods, each divided by the highest of its level [B, size, size], float64.

    Args:
        likelihoods: log-likelihood per channel [B, H, W] of each level.
        maximum: the highest of each level [L].
        size: side of the map, px; levels are brought to it bilinearly, corners on corners.
    """
    total = likelihoods[0].new_zeros((), dtype=torch.float64)
    for level, highest in zip(likelihoods, maximum.to(likelihoods[0].device), strict=True):
        share = (level.double() - highest).exp()[:, None]
        total = total + F.interpolate(share, (size, size), mode="bilinear", align_corners=True)[:, 0]
    return total


def anomaly_map(normality: Tensor, highest: float, score: Literal["logarithm", "difference"]) -> Tensor:
    """Scores from :func:`normality`: 0 where it is the highest, and rising where it falls.

    Args:
        normality: [B, S, S] float64.
        highest: the highest that it can be, or is.
        score: ``difference`` as in the released code, or ``logarithm``, which ranks alike.
    """
    if score == "difference":
        return highest - normality
    return math.log(highest) - normality.clamp(min=torch.finfo(torch.float64).tiny).log()


class CflowScorer:
    """Scores samples with trained decoders, each alone, so that no score depends on the others.

    A map is 0 where every level is as likely as the likeliest pixel of the training set, see ``Settings.score`` for the
    others. An image's score is its map's maximum.

    Args:
        model: the trained decoders, and the file of the encoder's weights.
        settings: of its experiment.
        device: where it runs.

    Raises:
        InputError: the model is none of this method, or of another encoder or image size.
    """

    def __init__(self, model: Model, settings: Settings, device: torch.device) -> None:
        self._encoder = create_encoder(settings.encoder, model.weights).to(device)
        shapes = self._encoder.shapes(settings.image_size)
        place = f"{settings.encoder.backbone} at {settings.image_size} px"
        decoders, self._maximum = from_model(model, shapes, place)
        self._decoders = decoders.to(device)
        self._size, self._score = settings.image_size, settings.score
        self._highest = float(len(shapes))

    @torch.inference_mode()
    def __call__(self, sample: Sample) -> Scores:
        """Scores of one sample: a map [V, S, S]."""
        found = normality(self.likelihoods(sample), self._maximum, self._size)
        return Scores(anomaly_map(found, self._highest, self._score).float().cpu().numpy())

    def likelihoods(self, sample: Sample) -> list[Tensor]:
        """Log-likelihood per channel [V, H, W] of each level."""
        return self._decoders.likelihood_maps(encode(self._encoder, sample.images))


class SurveyScorer(CflowScorer):
    """Scores as the released code does: maxima are those of the test set, so every score depends on all test images."""

    _surveyed = False

    def survey(self, samples: Samples) -> None:
        """Take the maxima from the test samples.

        The likelihoods of all levels are held in memory: 5 kB an image of 256 px, where levels have strides 8 to 32.
        """
        progress, stored = Progress(logger, "surveyed", len(samples), "samples"), []
        for sample in samples:
            stored.append([level.cpu() for level in self.likelihoods(sample)])
            progress.step()
        self._maximum = torch.stack([torch.stack([level.max() for level in maps]) for maps in stored]).amax(0).double()
        self._highest = max(float(normality(maps, self._maximum, self._size).max()) for maps in stored)
        self._surveyed = True

    def __call__(self, sample: Sample) -> Scores:
        """Scores of one sample of the test set.

        Raises:
            InputError: no test set was surveyed.
        """
        if not self._surveyed:
            raise InputError(
                f"{sample.key}: expected a test set, on which scores with maximum: test depend, found one sample; "
                "use a model of an experiment with maximum: train"
            )
        return super().__call__(sample)
