"""Pixel level: AUROC and AUPRO, streamed through ADEval."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multiflow.metrics.quantiles import ScoreQuantiles

if TYPE_CHECKING:
    import torch
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

    Strips are not equally wide: between two edges lie equally many of the scores, apart from ties. Both metrics
    depend on nothing but the order of the scores, so any increasing map to strips is allowed, and with this one a
    few scores that are a thousand times as high as the others don't push those into one strip. With S strips, a
    strip holds the share 1/S of the scores that aren't ties, which bounds what lies between its own scores.

    Memory does not grow with the number of images: three of ADEval's accumulators with four vectors of
    ``strips + 2`` doubles each (0.96 MB at 10,000 strips; its GPU class keeps a third of that on the GPU),
    the edges, plus working space for one image.

    Three details differ from a plain call of ADEval, none of them changes its definition:

    - Scores are handed over as centres of strips. The highest score is then counted once; ADEval's GPU class
      would count a score on its upper bound twice. CPU and GPU give the same counts.
    - A score of exactly 0 has a strip of its own. Masked background is 0 everywhere, and a strip for it and
      the foreground scores beside it would tie them.
    - The curves are integrated here: ADEval calls ``np.trapz``, which NumPy 2.4 no longer has, its limit is
      always 0.3, and it stops with an assertion or NaN where the curve is flat at the limit.

    Args:
        quantiles: those of all scores that will come, from a first pass over them.
        strips: number of strips, at least 10.
        false_positive_limit: upper end of AUPRO's integral, in (0, 1].
        device: where strips are counted: a GPU takes ADEval's GPU class.

    Raises:
        ValueError: an argument is out of its range.
    """

    def __init__(
        self,
        quantiles: ScoreQuantiles,
        strips: int = 10_000,
        false_positive_limit: float = 0.3,
        device: str | torch.device = "cpu",
    ) -> None:
        import torch

        if strips < 10:
            raise ValueError(f"strips must be at least 10, found {strips}")
        if not 0 < false_positive_limit <= 1:
            raise ValueError(f"false_positive_limit must be in (0, 1], found {false_positive_limit}")
        self.strips = strips
        self.false_positive_limit = false_positive_limit
        self.device = torch.device(device)
        # One strip more than edges, and two for the steps around zero.
        self._edges = torch.from_numpy(quantiles.quantiles(strips - 3)).to(device=self.device)
        adeval = _import_adeval()
        accumulator = adeval.EvalAccumulatorCuda if self.device.type == "cuda" else adeval.EvalAccumulator
        self._accumulator: Any = accumulator(0.0, float(strips), nstrips=strips)

    def update(self, anomaly_map: Tensor | NDArray[Any], ground_truth: Tensor | NDArray[Any]) -> None:
        """Count one image.

        Args:
            anomaly_map: ``[H, W]`` scores, on any device.
            ground_truth: ``[H, W]``, true where a pixel is anomalous.

        Raises:
            ValueError: the shapes differ, or a score is not finite.
        """
        import torch

        scores = torch.as_tensor(anomaly_map, device=self.device).detach().double()
        truth = torch.as_tensor(ground_truth, device=self.device).bool().to(torch.uint8)
        if scores.ndim != 2 or scores.shape != truth.shape:
            raise ValueError(
                f"anomaly map {tuple(scores.shape)} and ground truth {tuple(truth.shape)} "
                "must be two images of one size"
            )
        if scores.numel() == 0:
            raise ValueError("the anomaly map has no pixel")
        if not bool(scores.isfinite().all()):
            raise ValueError("the anomaly map has scores that are not finite")
        strip = torch.bucketize(scores, self._edges, right=True)
        # The sign moves what is below and above zero one strip away from it; monotone, so no rank changes.
        centres = (strip + torch.sign(scores) + 1.5).float()
        if self.device.type == "cuda":
            self._accumulator.add_anomap(centres, truth)
        else:
            self._accumulator.add_anomap(centres.numpy(), truth.numpy())

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
