"""Trained levels that score one sample at a time: their calibrated maps, added on one grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from multiflow.methods.contract import Model, Sample, Scores
from multiflow.methods.multiscale.level import read_level
from multiflow.methods.multiscale.maps import on_grid
from multiflow.methods.multiscale.settings import Settings

__all__ = ["MultiScaleScorer"]


class MultiScaleScorer:
    """Scores samples, each alone, so that no score depends on the others.

    Args:
        model: the trained model.
        settings: of its experiment.
        device: where it runs.

    Raises:
        InputError: the model lacks a level, or is another one.
    """

    def __init__(self, model: Model, settings: Settings, device: torch.device) -> None:
        used = [name for name in settings.levels if name in {*settings.detection, *settings.localization}]
        self._levels = [read_level(model, name) for name in used]
        for level in self._levels:
            level.flow.to(device)
        self._settings = settings
        self._device = device

    def __call__(self, sample: Sample) -> Scores:
        """Scores of one sample: a map of the levels that serve localisation, an image score of those for detection."""
        settings = self._settings
        side = settings.map_size
        maps = {}
        for level in self._levels:
            own = level.raw_map(sample, self._device)
            height, width = own.shape[1:]
            calibrated = level.calibration(own) if settings.calibration == "standardize" else own
            maps[level.features] = on_grid(calibrated, sample.foreground((height, width)), side)
        foreground = sample.foreground((side, side))
        anomaly_map = _mean(maps, settings.localization)
        if settings.detection == settings.localization:
            return Scores(anomaly_map.numpy(), foreground=foreground)
        inside = np.where(foreground, _mean(maps, settings.detection).numpy(), -np.inf)
        return Scores(anomaly_map.numpy(), inside.max(axis=(1, 2)).astype(np.float32), foreground)


def _mean(maps: dict[str, Tensor], names: Sequence[str]) -> Tensor:
    return torch.stack([maps[name] for name in names]).mean(dim=0)
