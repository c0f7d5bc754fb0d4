"""Pixel level: AUROC and AUPRO, streamed through ADEval."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["PixelMetrics", "PixelResult"]


@dataclass(frozen=True)
class PixelResult:
    """Pixel AUROC and AUPRO in [0, 1]; None where undefined (no anomalous or no normal pixel)."""

    auroc: float | None
    aupro: float | None


class PixelMetrics:
    """Streaming pixel AUROC and AUPRO: ADEval counts scores in strips, image by image.

    AUPRO is the mean recall of the ground truth's 8-connected regions over the false-positive rate of all
    images, integrated up to ``false_positive_limit`` and divided by it (paper section 4.2; Real-IAD).

    Memory does not grow with the number of images: three of ADEval's accumulators with four vectors of
    ``strips + 2`` doubles each (0.96 MB at 10,000 strips; its GPU class keeps a third of that on the GPU),
    plus working space for one image.

    Three details differ from a plain call of ADEval, none of them changes its definition:

    - Scores are handed over as centres of strips. A score on the upper bound of the range is then counted
      once; ADEval's GPU class would count it twice. CPU and GPU give the same counts.
    - A score of exactly 0 has a strip of its own. Masked background is 0 everywhere, and one strip for it
      and the lowest foreground scores would tie them (a pixel AUROC off by 2e-4 on the golden data).
    - The curves are integrated here: ADEval calls ``np.trapz``, which NumPy 2.4 no longer has, its limit is
      always 0.3, and it stops with an assertion or NaN where the curve is flat at the limit.

    Args:
        lowest, highest: range of all pixel scores that will come, from a first pass over the *scores*.
        strips: number of strips, at least 10.
        false_positive_limit: upper end of AUPRO's integral, in (0, 1].
        device: ``cpu``, or ``cuda`` for ADEval's GPU class.

    Raises:
        ValueError: the range is empty or not finite, or another argument is out of its range.
    """

    def __init__(
        self,
        lowest: float,
        highest: float,
        strips: int = 10_000,
        false_positive_limit: float = 0.3,
        device: str = "cpu",
    ) -> None:
        if not (math.isfinite(lowest) and math.isfinite(highest) and lowest <= highest):
            raise ValueError(f"the range of the scores must be finite and ascending, found {lowest} to {highest}")
        if strips < 10:
            raise ValueError(f"strips must be at least 10, found {strips}")
        if not 0 < false_positive_limit <= 1:
            raise ValueError(f"false_positive_limit must be in (0, 1], found {false_positive_limit}")
        self.lowest = float(lowest)
        self.highest = float(highest)
        self.strips = strips
        self.false_positive_limit = false_positive_limit
        self.device = device
        # Two strips for the steps around zero, one for the highest score itself.
        self._strips_per_unit = 0.0
        if self.highest > self.lowest:
            self._strips_per_unit = (strips - 3) / (self.highest - self.lowest)
        adeval = _import_adeval()
        accumulator = adeval.EvalAccumulatorCuda if device.startswith("cuda") else adeval.EvalAccumulator
        self._accumulator: Any = accumulator(0.0, float(strips), nstrips=strips)

    def update(self, anomaly_map: Tensor | NDArray[Any], ground_truth: Tensor | NDArray[Any]) -> None:
        """Count one image.

        Args:
            anomaly_map: ``[H, W]`` scores, on any device.
            ground_truth: ``[H, W]``, true where a pixel is anomalous.

        Raises:
            ValueError: the shapes differ, or a score is not finite or outside the announced range.
        """
        import torch

        scores = torch.as_tensor(anomaly_map, device=self.device).detach().double()
        truth = torch.as_tensor(ground_truth, device=self.device).bool()
        if scores.ndim != 2 or scores.shape != truth.shape:
            raise ValueError(
                f"anomaly map {tuple(scores.shape)} and ground truth {tuple(truth.shape)} "
                "must be two images of one size"
            )
        if scores.numel() == 0:
            raise ValueError("the anomaly map has no pixel")
        low, high = float(scores.min()), float(scores.max())
        if not (self.lowest <= low and high <= self.highest):
            raise ValueError(
                f"scores from {low} to {high} do not lie in the announced range "
                f"{self.lowest} to {self.highest}; take the range from a first pass over the scores"
            )
        strip = torch.floor((scores - self.lowest) * self._strips_per_unit)
        # The sign moves what is below and above zero one strip away from it; monotone, so no rank changes.
        centres = (strip + torch.sign(scores) + 1.5).float()
        if self.device.startswith("cuda"):
            self._accumulator.add_anomap(centres, truth.to(torch.uint8))
        else:
            self._accumulator.add_anomap(centres.numpy(), truth.to(torch.uint8).numpy())

    def result(self) -> PixelResult:
        """Both metrics over all images counted so far."""
        pixels = self._accumulator._pixel_acc
        if not (float(pixels.pos_stat.sum()) > 0 and float(pixels.neg_stat.sum()) > 0):
            return PixelResult(None, None)
        false_positive_rate, recall, _ = pixels.roc()
        _, region_recall, _ = pixels.weighted_roc()
        limit = self.false_positive_limit
        return PixelResult(
            auroc=_area(false_positive_rate, recall, 1.0),
            aupro=_area(false_positive_rate, region_recall, limit) / limit,
        )


def _area(false_positive_rate: NDArray[np.float64], recall: NDArray[np.float64], limit: float) -> float:
    """Area under a curve given from right to left, up to ``limit``, linear between its points."""
    x, y = false_positive_rate[::-1], recall[::-1]
    below = x <= limit
    # Up to the last point below the limit, then along the segment that crosses it.
    last = int(np.count_nonzero(below)) - 1
    area = float(np.trapezoid(y[: last + 1], x[: last + 1]))
    if last + 1 < x.size and x[last] < limit:
        share = (limit - x[last]) / (x[last + 1] - x[last])
        area += float((limit - x[last]) * (y[last] + 0.5 * share * (y[last + 1] - y[last])))
    return area


def _import_adeval() -> ModuleType:
    """ADEval, imported where it is used (it loads OpenCV), without its patch of ``multiprocessing``.

    On import ADEval makes every pickler of :mod:`multiprocessing` send functions as marshalled code. Nothing
    here needs that, and data loaders should not depend on whether something was evaluated before.
    """
    from multiprocessing.reduction import ForkingPickler

    missing = object()
    before = ForkingPickler.__dict__.get("reducer_override", missing)
    import adeval

    if before is missing and "reducer_override" in ForkingPickler.__dict__:
        del ForkingPickler.reducer_override
    module: ModuleType = adeval
    return module
