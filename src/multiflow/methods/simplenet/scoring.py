"""Trained layers that score one sample at a time."""

from __future__ import annotations

import torch

from multiflow.methods.contract import Model, Sample, Scores
from multiflow.methods.patches.features import create_patch_encoder, patch_features, picture_scores
from multiflow.methods.simplenet.network import load_network
from multiflow.methods.simplenet.settings import Settings

__all__ = ["SimpleNetScorer"]


class SimpleNetScorer:
    """A patch's score is minus what the discriminator says of its adapted features.

    Args:
        model: the trained layers, and the file of the network's weights.
        settings: of its experiment.
        device: where it runs.

    Raises:
        InputError: the model is none of this method, or of another network.
    """

    def __init__(self, model: Model, settings: Settings, device: torch.device) -> None:
        self._encoder = create_patch_encoder(settings.encoder, model.weights, device)
        channels = sum(shape[0] for shape in self._encoder.shapes(settings.image_size))
        self._network = load_network(model.tensors, channels, settings.hidden).to(device)
        self._size = settings.image_size

    @torch.inference_mode()
    def __call__(self, sample: Sample) -> Scores:
        """Scores of one sample: a map [V, S, S], and an image score [V]."""
        features = patch_features(self._encoder, sample.images)
        scores = -self._network(features.flatten(0, 2)).view(features.shape[:3])
        return picture_scores(scores, self._size)
