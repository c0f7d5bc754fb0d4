"""The methods that tell foreground from background, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from multiflow.config import Foreground
from multiflow.errors import InputError

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


class EverythingSegmenter:
    """Everything is foreground."""

    in_workers = True

    def segment(self, images: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Ones [V, S, S] for images [V, S, S, 3]."""
        return np.ones(images.shape[:3], dtype=bool)


def _none(settings: Foreground, weights: Path | None) -> Segmenter:
    return EverythingSegmenter()


def _threshold(settings: Foreground, weights: Path | None) -> Segmenter:
    from multiflow.foreground.threshold import ThresholdSegmenter  # scikit-image takes seconds to import

    return ThresholdSegmenter()


def _mvanet(settings: Foreground, weights: Path | None) -> Segmenter:
    from multiflow.foreground.mvanet import MVANetSegmenter, create_mvanet  # timm takes seconds to import

    if weights is None:
        raise InputError("foreground.method: mvanet needs weights; run the rule fetch_mvanet and pass its file")
    return MVANetSegmenter(create_mvanet(weights), settings)


SEGMENTERS: dict[str, Callable[[Foreground, Path | None], Segmenter]] = {
    "none": _none,
    "threshold": _threshold,
    "mvanet": _mvanet,
}
"""Makers of segmenters by ``foreground.method``; they take the block and the path of the method's weights."""


def create_segmenter(settings: Foreground, weights: Path | None = None) -> Segmenter:
    """Create the segmenter that a configuration names.

    Raises:
        InputError: the method's weights are missing, damaged, or those of another network.
    """
    return SEGMENTERS[settings.method](settings, weights)
