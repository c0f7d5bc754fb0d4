"""The methods that tell foreground from background, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from multiflow.base.errors import InputError
from multiflow.base.settings import Compute
from multiflow.foreground.settings import Segmentation

__all__ = ["SEGMENTERS", "Segmenter", "create_segmenter"]


class Segmenter(Protocol):
    """Tells the foreground of one sample's images from their background."""

    @property
    def in_workers(self) -> bool:
        """Whether it can be pickled and runs in the processes that decode; else it runs in the parent."""
        ...

    def segment(self, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Foreground [V, S, S] of RGB images [V, S, S, 3]."""
        ...


def _threshold(settings: Segmentation, compute: Compute, weights: Path | None) -> Segmenter:
    from multiflow.foreground.threshold import ThresholdSegmenter  # scikit-image takes seconds to import

    return ThresholdSegmenter()


def _mvanet(settings: Segmentation, compute: Compute, weights: Path | None) -> Segmenter:
    from multiflow.foreground.mvanet import MVANetSegmenter, create_mvanet  # timm takes seconds to import

    if weights is None:
        raise InputError("foreground.method: mvanet needs weights; run the rule fetch_weights and pass its file")
    return MVANetSegmenter(create_mvanet(weights), settings, compute)


SEGMENTERS: dict[str, Callable[[Segmentation, Compute, Path | None], Segmenter]] = {
    "threshold": _threshold,
    "mvanet": _mvanet,
}
"""Makers of segmenters by ``foreground.method``; they take the blocks and the path of the method's weights."""


def create_segmenter(method: str, settings: Segmentation, compute: Compute, weights: Path | None = None) -> Segmenter:
    """Create a method of segmentation.

    Args:
        method: a name of :data:`SEGMENTERS`.
        settings: the ``segmentation`` block.
        compute: the ``compute`` block.
        weights: weights of the method, from its ``fetch_...`` function, if it has any.

    Raises:
        InputError: the method's weights are missing, damaged, or those of another network.
    """
    return SEGMENTERS[method](settings, compute, weights)
