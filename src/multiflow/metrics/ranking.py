"""Image and sample level: scores of a sample from its views, and exact AUROC, AP and F1."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["auroc", "average_precision", "f1_max", "mean_of_highest", "sample_labels", "sample_scores"]


def auroc(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """Exact area under the ROC curve; equal scores count half.

    Nothing is clipped or binned: the released code's last evaluation ties all scores above 5 before it
    computes the AUROC, which is not repeated here.

    Args:
        labels: ``[N]``, true or 1 for anomalous.
        scores: ``[N]``, finite, higher is more anomalous.

    Returns:
        A value in [0, 1], or None where it is undefined: only one of the two classes is there.

    Raises:
        ValueError: a score is not finite, or the lengths differ.
    """
    truth, values = _checked(labels, scores)
    if truth.all() or not truth.any():
        return None
    from sklearn.metrics import roc_auc_score  # slow to import: only where something is evaluated

    return float(roc_auc_score(truth, values))


def average_precision(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """Average precision, not interpolated, as ADer and the benchmark of Real-IAD compute it; see :func:`auroc`."""
    truth, values = _checked(labels, scores)
    if truth.all() or not truth.any():
        return None
    from sklearn.metrics import average_precision_score  # slow to import

    return float(average_precision_score(truth, values))


def f1_max(labels: ArrayLike, scores: ArrayLike) -> float | None:
    """Highest F1 over all thresholds, as ADer and the benchmark of Real-IAD compute it; see :func:`auroc`."""
    truth, values = _checked(labels, scores)
    if truth.all() or not truth.any():
        return None
    from sklearn.metrics import precision_recall_curve  # slow to import

    precision, recall, _ = precision_recall_curve(truth, values)
    # Nothing is found where both are 0.
    both = np.maximum(precision + recall, np.finfo(float).tiny)
    return float((2 * precision * recall / both).max())


def sample_scores(image_scores: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Scores of samples from the scores of their views.

    Args:
        image_scores: ``[N, V]``.

    Returns:
        ``max`` (paper section 4.2) and ``mean`` (released code) over the views, each ``[N]``.

    Raises:
        ValueError: the scores are not ``[N, V]`` with at least one view.
    """
    values = np.asarray(image_scores, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"image scores must be [samples, views], found {values.shape}")
    return {"max": values.max(axis=1), "mean": values.mean(axis=1)}


def mean_of_highest(ordered: NDArray[np.floating]) -> float:
    """Mean of the highest 1 % of scores, rounded down to whole scores but at least one: the sample score ``top1``.

    Args:
        ordered: the scores of all views' pixels, ascending, at least one.
    """
    return float(ordered[-max(1, ordered.size // 100) :].mean(dtype=np.float64))


def sample_labels(image_labels: ArrayLike) -> NDArray[np.bool_]:
    """Labels of samples ``[N]`` from labels of views ``[N, V]``: anomalous if any view is."""
    anomalous: NDArray[np.bool_] = np.asarray(image_labels).astype(bool).max(axis=1)
    return anomalous


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    truth = np.asarray(labels).astype(bool)
    values = np.asarray(scores, dtype=np.float64)
    if truth.shape != values.shape or truth.ndim != 1:
        raise ValueError(f"labels {truth.shape} and scores {values.shape} must be two vectors of one length")
    if not np.isfinite(values).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(values))} of {values.size} scores are not finite")
    return truth, values
