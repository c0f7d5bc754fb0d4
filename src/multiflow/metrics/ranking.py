"""Image and sample level: scores of a sample from its views, and the exact AUROC."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["auroc", "sample_labels", "sample_scores"]


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
    truth = np.asarray(labels).astype(bool)
    values = np.asarray(scores, dtype=np.float64)
    if truth.shape != values.shape or truth.ndim != 1:
        raise ValueError(f"labels {truth.shape} and scores {values.shape} must be two vectors of one length")
    if not np.isfinite(values).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(values))} of {values.size} scores are not finite")
    if truth.all() or not truth.any():
        return None
    from sklearn.metrics import roc_auc_score  # slow to import: only where something is evaluated

    return float(roc_auc_score(truth, values))


def sample_scores(image_scores: ArrayLike) -> dict[str, NDArray[np.float64]]:
    """Scores of samples from the scores of their views.

    Args:
        image_scores: ``[N, V]``, the maximum of each view's anomaly map.

    Returns:
        ``max`` (paper section 4.2) and ``mean`` (released code) over the views, each ``[N]``.

    Raises:
        ValueError: the scores are not ``[N, V]`` with at least one view.
    """
    values = np.asarray(image_scores, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ValueError(f"image scores must be [samples, views], found {values.shape}")
    return {"max": values.max(axis=1), "mean": values.mean(axis=1)}


def sample_labels(image_labels: ArrayLike) -> NDArray[np.bool_]:
    """Labels of samples ``[N]`` from labels of views ``[N, V]``: anomalous if any view is."""
    anomalous: NDArray[np.bool_] = np.asarray(image_labels).astype(bool).max(axis=1)
    return anomalous
