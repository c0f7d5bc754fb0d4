"""Photographs of one part as a sample, prepared as the model's recipe says, function by function as in the stations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from multiflow.base.devices import exact_float32
from multiflow.base.settings import Compute
from multiflow.datasets.images import Resampling
from multiflow.features.backbone import create_backbone
from multiflow.features.extraction import FeatureNetwork, as_stored
from multiflow.foreground.grid import sample_foreground
from multiflow.foreground.segmenters import create_segmenter
from multiflow.inspection.photographs import Photograph
from multiflow.methods.recipe import ForegroundRecipe, Recipe

__all__ = ["PhotographedSample"]


class PhotographedSample:
    """One part; see :class:`multiflow.methods.contract.Sample`. What a method doesn't ask for is not computed.

    Args:
        key: the part's name, for messages.
        photographs: its views, in the order of the recipe.
        recipe: the model's.
        weights: the file of each network that the recipe names.
        device: where the networks run.
    """

    def __init__(
        self,
        key: str,
        photographs: Sequence[Photograph],
        recipe: Recipe,
        weights: Mapping[str, Path],
        device: torch.device,
    ) -> None:
        self.key = key
        self._photographs = photographs
        self._recipe = recipe
        self._weights = weights
        self._device = device
        self._features: dict[str, NDArray[np.float32]] = {}
        self._segmentation: NDArray[np.bool_] | None = None

    @property
    def images(self) -> NDArray[np.uint8]:
        """RGB pictures [V, S, S, 3]."""
        assert self._recipe.images is not None, "the method's needs name no size of images"
        return self._pictures(self._recipe.images, self._recipe.resampling)

    def features(self, name: str) -> NDArray[np.float32]:
        """Features [V, C, H, W] of a set, as a method reads them from the features file."""
        if name not in self._features:
            recipe = self._recipe.features[name]
            settings = recipe.settings
            with exact_float32(recipe.threads), torch.inference_mode():
                backbone = create_backbone(settings, self._weights[settings.backbone])
                network = FeatureNetwork(backbone, self._device, settings)
                output = network.submit(self._pictures(settings.image_size)).result()
            stored = as_stored(output, settings.dtype, self.key)
            self._features[name] = stored.astype(np.float32, copy=False)
        return self._features[name]

    def foreground(self, grid: tuple[int, int]) -> NDArray[np.bool_]:
        """Foreground [V, h, w] on any grid."""
        recipe = self._recipe.foreground
        if recipe is None:
            return np.ones((len(self._photographs), *grid), dtype=bool)
        if self._segmentation is None:
            self._segmentation = self._segment(recipe)
        names = [str(item.path) for item in self._photographs]
        return sample_foreground(self._segmentation, names, grid, recipe.settings)

    def _segment(self, recipe: ForegroundRecipe) -> NDArray[np.bool_]:
        """Raw segmentation [V, S, S]."""
        method, threads = recipe.settings.method, torch.get_num_threads()
        compute = Compute(device="cuda" if self._device.type == "cuda" else "cpu", threads=recipe.threads, workers=0)
        try:
            segmenter = create_segmenter(method, recipe.segmentation, compute, self._weights.get(method))
            return segmenter.segment(self._pictures(recipe.segmentation.image_size))
        finally:
            torch.set_num_threads(threads)  # a segmenter sets its own, and the method goes on after it

    def _pictures(self, size: int, resampling: Resampling = "bilinear") -> NDArray[np.uint8]:
        return np.stack([item.array(size, resampling) for item in self._photographs])
