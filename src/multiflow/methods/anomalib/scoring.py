"""A trained model of anomalib that scores one view at a time, so that no score depends on another picture."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.methods.anomalib.building import Built
from multiflow.methods.anomalib.checkpoint import from_model
from multiflow.methods.anomalib.settings import Settings
from multiflow.methods.contract import Model, Sample, Scores

__all__ = ["AnomalibScorer", "predict"]


class AnomalibScorer:
    """Scores samples: the model's own anomaly map and image score, not normalised.

    Args:
        model: the trained model, and the file of its network's weights.
        settings: of its experiment.
        device: where it runs.

    Raises:
        InputError: the model is another one.
    """

    def __init__(self, model: Model, settings: Settings, device: torch.device) -> None:
        self._built = from_model(model, settings, model.weights)
        self._built.module.to(device)
        self._masks, self._device = settings.masks, device

    def __call__(self, sample: Sample) -> Scores:
        """Scores of one sample: a map [V, h, w], and an image score [V] where the model has one."""
        images = torch.from_numpy(sample.images).to(self._device)
        found = [predict(self._built, image[None]) for image in images]
        maps = np.stack([anomaly_map[0].cpu().numpy() for anomaly_map, _ in found])
        if self._masks:
            return Scores(maps, foreground=sample.foreground((maps.shape[1], maps.shape[2])))
        if any(score is None for _, score in found):
            return Scores(maps)
        return Scores(maps, np.array([float(score) for _, score in found if score is not None], dtype=np.float32))


@torch.inference_mode()
def predict(built: Built, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Anomaly maps [B, h, w] and image scores [B], if the model has any, both float32.

    Args:
        built: the model, in evaluation mode.
        images: RGB [B, S, S, 3] uint8, on the model's device.

    Raises:
        InputError: the model gives no map.
    """
    found: Any = built.module.predict_step(built.batch(images), 0)
    if found.anomaly_map is None:
        raise InputError(f"model: {built.module.name} of anomalib gives no anomaly map; take another")
    maps = found.anomaly_map.reshape(len(images), *found.anomaly_map.shape[-2:]).float()
    return maps, None if found.pred_score is None else found.pred_score.reshape(len(images)).float()
