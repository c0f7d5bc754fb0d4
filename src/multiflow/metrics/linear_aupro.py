"""AUPRO as the released code of CFLOW-AD counts it, to stand beside numbers that were counted so.

It is another number than :func:`multiflow.metrics.pixel.pixel_metrics` gives: thresholds lie evenly between the lowest
and the highest score, however few scores there are; a hole inside of a region counts as found, and can bring a region
above 1; and the false-positive rates below the limit are stretched to the whole of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LinearCurve", "linear_aupro", "linear_curve"]

LinearCurve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""False-positive rate of all images, and mean share of a region that is found, at each threshold from above."""


def linear_curve(maps: NDArray[np.floating], truth: NDArray[np.bool_], thresholds: int = 1000) -> LinearCurve:
    """The curve under which the area is taken.

    Args:
        maps: anomaly maps [N, S, S].
        truth: where a pixel is anomalous [N, S, S].
        thresholds: their number; a pixel is found where its score is above, not at, the threshold.

    Raises:
        ValueError: there is no anomalous or no normal pixel.
    """
    if not truth.any() or truth.all():
        raise ValueError("expected anomalous and normal pixels, found one kind only")
    from skimage.measure import label, regionprops  # takes a second to import

    lowest, highest = maps.min(), maps.max()
    steps = highest - np.arange(thresholds) * (highest - lowest) / thresholds

    def found(scores: NDArray[np.floating]) -> NDArray[np.float64]:
        """How many of the scores are above each threshold."""
        ordered = np.sort(scores, axis=None)
        return (ordered.size - np.searchsorted(ordered, steps, side="right")).astype(np.float64)

    shares = []
    for scores, mask in zip(maps, truth, strict=True):
        for region in regionprops(label(mask, connectivity=2)):
            top, left, bottom, right = region.bbox
            shares.append(found(scores[top:bottom, left:right][region.image_filled]) / region.area)
    false = found(maps[~truth]) / np.count_nonzero(~truth)
    return false, np.mean(shares, axis=0)


def linear_aupro(
    maps: NDArray[np.floating], truth: NDArray[np.bool_], thresholds: int = 1000, limit: float = 0.3
) -> float | None:
    """The area; arguments as for :func:`linear_curve`.

    Args:
        limit: false-positive rates up to it are kept, and stretched to 0 to 1.

    Returns:
        Usually a fraction, more where a region has holes; None where fewer than two rates are kept.

    Raises:
        ValueError: there is no anomalous or no normal pixel.
    """
    false, shares = linear_curve(maps, truth, thresholds)
    kept = false <= limit
    low, high = false[kept].min(initial=1.0), false[kept].max(initial=0.0)
    if high <= low:
        return None
    return float(np.trapezoid(shares[kept], (false[kept] - low) / (high - low)))
