"""Pixel level: scores counted in strips, and AUROC, AUPRO, AP and the highest F1 from the counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from multiflow.metrics.strips import Strips
from multiflow.metrics.upsampling import Pixels

__all__ = ["Counter", "Counts", "PixelResult", "StripCounter", "fraction", "pixel_metrics"]


@dataclass(frozen=True)
class Counts:
    """Pixels by strip, from the lowest scores to the highest.

    Attributes:
        normal, anomalous: number of pixels [strips].
        regions: anomalous pixels, of which each counts 1 / (pixels of its region) [strips].
        of_one_value: strips whose scores are all equal [strips].
    """

    normal: NDArray[np.float64]
    anomalous: NDArray[np.float64]
    regions: NDArray[np.float64]
    of_one_value: NDArray[np.bool_]


class Counter(Protocol):
    """Counts pixels, sample by sample."""

    def update(self, pixels: Pixels, truth: NDArray[Any]) -> None:
        """Count one sample, whose ground truth is [V, S, S], not 0 where a pixel is anomalous."""
        ...

    @property
    def counts(self) -> Counts:
        """All that was counted so far."""
        ...


class StripCounter:
    """Counts as ADEval does, four times as fast: a sample's scores are sorted once, then counted between the edges.

    A region is 8-connected. Memory does not grow with the number of samples: three vectors of the strips' number.

    Args:
        strips: where to count.
    """

    def __init__(self, strips: Strips) -> None:
        self._strips = strips
        self._all = np.zeros(len(strips), np.int64)
        self._anomalous = np.zeros(len(strips), np.int64)
        self._regions = np.zeros(len(strips))

    def update(self, pixels: Pixels, truth: NDArray[Any]) -> None:
        """Count one sample.

        Raises:
            ValueError: the shapes differ, or a score is not finite.
        """
        check(pixels, truth)
        self._all += self._strips.histogram(pixels)
        for view, mask in enumerate(truth):
            if not mask.any():
                continue
            anomalous = mask != 0
            strip = self._strips.index(pixels.scores[view][anomalous])
            if pixels.inside is not None:
                strip[~pixels.inside[view][anomalous]] = 0
            self._anomalous += np.bincount(strip, minlength=len(self._strips))
            self._regions += np.bincount(strip, _region_weights(anomalous), len(self._strips))

    @property
    def counts(self) -> Counts:
        """All that was counted so far."""
        normal, anomalous = self._all - self._anomalous, self._anomalous
        return Counts(normal.astype(float), anomalous.astype(float), self._regions, self._strips.of_one_value)


@dataclass(frozen=True)
class PixelResult:
    """Pixel metrics in [0, 1]; None where undefined (no anomalous or no normal pixel)."""

    auroc: float | None = None
    aupro: float | None = None
    ap: float | None = None
    f1_max: float | None = None


def pixel_metrics(counts: Counts, false_positive_limit: float = 0.3) -> PixelResult:
    """Pixel metrics of what was counted.

    - AUROC: scores within a strip count as equal.
    - AUPRO: the mean recall of the ground truth's regions over the false-positive rate of all images, integrated up to
      the limit and divided by it (paper section 4.2; Real-IAD).
    - AP: the mean precision over the anomalous pixels, each at the threshold where it is found
      (``sklearn.metrics.average_precision_score``). Within a strip, anomalous pixels lie as densely everywhere, apart
      from a strip of equal scores, which is found at once.
    - F1: the highest over all thresholds between strips (``sklearn.metrics.precision_recall_curve``).

    AP and F1 are those that ADer and the benchmark of Real-IAD print.

    Args:
        counts: of all samples.
        false_positive_limit: upper end of AUPRO's integral, in (0, 1].

    Raises:
        ValueError: the limit is out of its range.
    """
    if not 0 < false_positive_limit <= 1:
        raise ValueError(f"false_positive_limit must be in (0, 1], found {false_positive_limit}")
    # From the highest scores down.
    normal, anomalous, regions = counts.normal[::-1], counts.anomalous[::-1], counts.regions[::-1]
    false, true, found = (np.concatenate([[0], np.cumsum(values)]) for values in (normal, anomalous, regions))
    if not (true[-1] > 0 and false[-1] > 0):
        return PixelResult()
    false_positive_rate = false / false[-1]
    return PixelResult(
        auroc=fraction(_area(false_positive_rate, true / true[-1], 1.0)),
        aupro=fraction(_area(false_positive_rate, found / found[-1], false_positive_limit) / false_positive_limit),
        ap=fraction(_average_precision(normal, anomalous, counts.of_one_value[::-1])),
        f1_max=fraction(float((2 * true / (true + false + true[-1])).max())),
    )


def check(pixels: Pixels, truth: NDArray[Any]) -> None:
    """Refuse what cannot be counted.

    Raises:
        ValueError: the shapes differ, or a score is not finite.
    """
    if pixels.scores.ndim != 3 or pixels.scores.shape != truth.shape or pixels.scores.size == 0:
        raise ValueError(
            f"anomaly maps {pixels.scores.shape} and ground truth {truth.shape} "
            "must be [views, rows, columns] of one size"
        )
    # A sum is not finite if one of its terms is not.
    if not np.isfinite(pixels.scores.sum(dtype=np.float64)):
        raise ValueError("the anomaly maps have scores that are not finite")


def fraction(value: float) -> float:
    """A value in [0, 1]; rounding errors beyond are cut off.

    Raises:
        ValueError: the value is farther outside than rounding explains.
    """
    if not -1e-9 <= value <= 1 + 1e-9:
        raise ValueError(f"a metric must lie in [0, 1], found {value}")
    return min(max(value, 0.0), 1.0)


def _region_weights(anomalous: NDArray[np.bool_]) -> NDArray[np.float32]:
    """1 / (pixels of its region) for each anomalous pixel of a view, rounded as in ADEval."""
    import cv2  # ADEval's library; slow to import

    _, labels, statistics, _ = cv2.connectedComponentsWithStats(anomalous.view(np.uint8), connectivity=8)
    weights: NDArray[np.float32] = (1 / statistics[1:, cv2.CC_STAT_AREA]).astype(np.float32)
    return weights[labels[anomalous] - 1]


def _average_precision(
    normal: NDArray[np.float64], anomalous: NDArray[np.float64], of_one_value: NDArray[np.bool_]
) -> float:
    """Average precision; all arguments from the highest strip down."""
    true, false = np.cumsum(anomalous), np.cumsum(normal)
    # The middle one of a strip's anomalous pixels: itself, half of the others, and half of the strip's normal pixels.
    half_true, half_false = true - (anomalous - 1) / 2, false - normal / 2
    true, false = np.where(of_one_value, true, half_true), np.where(of_one_value, false, half_false)
    here = anomalous > 0
    return float((anomalous[here] * true[here] / (true[here] + false[here])).sum() / anomalous.sum())


def _area(x: NDArray[np.float64], y: NDArray[np.float64], limit: float) -> float:
    """Area under an ascending curve up to ``limit``, linear between its points."""
    # Up to the last point below the limit, then along the segment that crosses it.
    last = int(np.count_nonzero(x <= limit)) - 1
    area = float(np.trapezoid(y[: last + 1], x[: last + 1]))
    if last + 1 < x.size and x[last] < limit:
        share = (limit - x[last]) / (x[last + 1] - x[last])
        area += float((limit - x[last]) * (y[last] + 0.5 * share * (y[last + 1] - y[last])))
    return area
