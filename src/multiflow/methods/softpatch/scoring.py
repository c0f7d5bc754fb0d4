"""A bank that scores one sample at a time."""

from __future__ import annotations

import torch

from multiflow.base.errors import InputError
from multiflow.methods.contract import Model, Sample, Scores
from multiflow.methods.patches.features import create_patch_encoder, patch_features, picture_scores
from multiflow.methods.softpatch.settings import Settings

__all__ = ["SoftPatchScorer"]


class SoftPatchScorer:
    """A patch's score is its distance to the nearest one in the bank, times how unlike the others that one was.

    Args:
        model: the bank, and the file of the network's weights.
        settings: of its experiment.
        device: where it runs.

    Raises:
        InputError: the model is none of this method, or of another network.
    """

    def __init__(self, model: Model, settings: Settings, device: torch.device) -> None:
        self._encoder = create_patch_encoder(settings.encoder, model.weights, device)
        channels = sum(shape[0] for shape in self._encoder.shapes(settings.image_size))
        shapes = {name: list(tensor.shape) for name, tensor in model.tensors.items()}
        count = len(model.tensors.get("weight", ()))
        if count == 0 or shapes != {"bank": [count, channels], "weight": [count]}:
            raise InputError(
                f"trained bank: expected patches of {channels} channels, as {settings.encoder.backbone} gives, and a "
                f"weight each, found {shapes}; train it again"
            )
        self._bank = model.tensors["bank"].to(device)
        self._weight = model.tensors["weight"].to(device) if settings.weighted else self._bank.new_ones(count)
        self._size = settings.image_size

    @torch.inference_mode()
    def __call__(self, sample: Sample) -> Scores:
        """Scores of one sample: a map [V, S, S], and an image score [V]."""
        features = patch_features(self._encoder, sample.images)
        nearest = [torch.cdist(view.flatten(0, 1), self._bank).min(dim=1) for view in features]
        scores = torch.stack([found.values * self._weight[found.indices] for found in nearest])
        return picture_scores(scores.view(features.shape[:3]), self._size)
