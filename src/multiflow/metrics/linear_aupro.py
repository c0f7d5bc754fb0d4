"""AUPRO at evenly spaced thresholds, as the released code of CFLOW-AD counts it, beside numbers that were counted so.

It is another number than :func:`multiflow.metrics.pixel.pixel_metrics` gives: thresholds lie evenly between the lowest
and the highest score, however few scores there are; a hole inside of a region counts as found, and can bring a region
above 1; and the false-positive rates below the limit are stretched to the whole of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiflow.metrics.upsampling import Pixels

__all__ = ["LinearCounter"]


class LinearCounter:
    """Counts what each threshold finds, sample by sample.

    Memory does not grow with the number of samples: two vectors of the thresholds' number.

    Args:
        lowest, highest: of all scores that will be counted.
        thresholds: their number; a pixel is found where its score is above, not at, the threshold.
    """

    def __init__(self, lowest: float, highest: float, thresholds: int = 1000) -> None:
        self._steps = highest - np.arange(thresholds) * (highest - lowest) / thresholds
        self._false = np.zeros(thresholds)
        self._shares = np.zeros(thresholds)
        self._normal = 0
        self._regions = 0

    def update(self, pixels: Pixels, truth: NDArray[Any]) -> None:
        """Count one sample, whose ground truth is [V, S, S], not 0 where a pixel is anomalous.

        Pixels without a score are never found.
        """
        from skimage.measure import label, regionprops  # takes a second to import

        scores = pixels.scores if pixels.inside is None else np.where(pixels.inside, pixels.scores, -np.inf)
        normal = truth == 0
        self._false += self._found(pixels.ordered if normal.all() else scores[normal])
        self._normal += int(np.count_nonzero(normal))
        for values, anomalous in zip(scores, ~normal, strict=True):
            if not anomalous.any():
                continue
            for region in regionprops(label(anomalous, connectivity=2)):
                top, left, bottom, right = region.bbox
                self._shares += self._found(values[top:bottom, left:right][region.image_filled]) / region.area
                self._regions += 1

    def _found(self, scores: NDArray[Any]) -> NDArray[np.float64]:
        """How many of the scores are above each threshold."""
        ordered = np.sort(scores, axis=None)
        return (ordered.size - np.searchsorted(ordered, self._steps, side="right")).astype(np.float64)

    @property
    def curve(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """False-positive rate of all images, and mean share of a region that is found, at each threshold from above."""
        return self._false / self._normal, self._shares / self._regions

    def aupro(self, limit: float = 0.3) -> float | None:
        """The area under the curve.

        Args:
            limit: false-positive rates up to it are kept, and stretched to 0 to 1.

        Returns:
            Usually a fraction, more where regions have holes; None where there is no anomalous or no normal pixel, or
            fewer than two rates are kept.
        """
        if not (self._normal and self._regions):
            return None
        false, shares = self.curve
        kept = false <= limit
        low, high = false[kept].min(initial=1.0), false[kept].max(initial=0.0)
        if high <= low:
            return None
        return float(np.trapezoid(shares[kept], (false[kept] - low) / (high - low)))
