"""The classifier's weight in the joint score, chosen on synthetic defects; never on the test set."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["GRID", "best_weight", "pixel_aupr", "thinning"]

_MOST_PIXELS = 8_000_000  # more than 100 pictures of 256 px have, by which a choice takes 0.6 GB

GRID = tuple(round(0.05 * step, 2) for step in range(1, 21))


def pixel_aupr(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Area under the curve of precision over recall, by the trapezoidal rule as in the released code.

    Args:
        truth: where a pixel is anomalous; somewhere and not everywhere.
        scores: of the same shape.
    """
    from sklearn.metrics import auc, precision_recall_curve

    precision, recall, _ = precision_recall_curve(truth.ravel(), scores.ravel())
    return float(auc(recall, precision))


def best_weight(
    normality: NDArray[np.float64], probability: NDArray[np.float32], truth: NDArray[np.bool_]
) -> float | None:
    """The weight with the highest pixel AUPR, the larger one of equals.

    Args:
        normality: of the flows [N, S, S].
        probability: of the classifier.
        truth: where the synthetic defects are.

    Returns:
        One of :data:`GRID`; None where there is no defect, or no normal pixel, to choose it by.
    """
    if not truth.any() or truth.all():
        return None
    found = [pixel_aupr(truth, np.float32(weight) * probability - normality) for weight in GRID]
    return max(zip(found, GRID, strict=True))[1]


def thinning(count: int, size: int) -> int:
    """Every how many rows and columns of pictures are enough to choose a weight by, so that memory is bounded.

    Args:
        count: pictures.
        size: side of a picture, px.
    """
    return math.ceil(math.sqrt(count * size**2 / _MOST_PIXELS))
