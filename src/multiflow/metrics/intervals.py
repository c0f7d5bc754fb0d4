"""How far an AUROC would move with other test samples: a bootstrap over samples, never over single views."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multiflow.metrics import CONFIDENCE

__all__ = ["Interval", "auroc_interval"]

Interval = tuple[float, float]
"""Lower and upper end, fractions."""

_RESAMPLES = 1999
_BATCH = 100  # resamples at a time, which bounds the memory


def auroc_interval(labels: ArrayLike, scores: ArrayLike) -> Interval | None:
    """The 95 % confidence interval of an AUROC over the test samples.

    Normal and anomalous samples are drawn anew, each group by itself and each sample with all of its views, since the
    views of a part are not independent of each other. The interval is bias-corrected and accelerated (BCa; Efron,
    Better bootstrap confidence intervals, 1987), as SciPy computes it, from 1,999 resamples that are always the same.

    Args:
        labels: ``[N, V]``, true or 1 for anomalous; a sample is anomalous if any of its views is.
        scores: ``[N, V]``, higher is more anomalous; V is 1 where samples have a score of their own.

    Returns:
        The ends, or None where resamples tell nothing: with fewer than two normal or two anomalous samples, and where
        resamples are all alike, since no sample is ranked wrong or all scores are equal.
    """
    from scipy.stats import DegenerateDataWarning, bootstrap, rankdata  # slow to import

    truth, values = np.asarray(labels).astype(bool), np.asarray(scores, dtype=np.float64)
    anomalous = truth.any(axis=1)
    groups = np.flatnonzero(~anomalous), np.flatnonzero(anomalous)
    if min(map(len, groups)) < 2:
        return None

    def area(normal: NDArray[Any], anomalous: NDArray[Any], axis: int) -> NDArray[np.float64]:
        """AUROCs of resamples, from the rank sum of their anomalous views; equal scores share their mean rank."""
        chosen = np.concatenate([normal, anomalous], axis=axis).astype(np.intp)
        shape = (*chosen.shape[:-1], -1)
        positive = truth[chosen].reshape(shape)
        ranks = rankdata(values[chosen].reshape(shape), axis=-1)
        count = positive.sum(axis=-1)
        pairs = count * (positive.shape[-1] - count)
        found: NDArray[np.float64] = ((ranks * positive).sum(axis=-1) - count * (count + 1) / 2) / pairs
        return found

    # Resamples that are all alike have no interval: SciPy divides 0 by 0, warns and returns NaN.
    with warnings.catch_warnings(), np.errstate(invalid="ignore", divide="ignore"):
        warnings.simplefilter("ignore", DegenerateDataWarning)
        found = bootstrap(
            groups,
            area,
            n_resamples=_RESAMPLES,
            batch=_BATCH,
            vectorized=True,
            axis=-1,
            confidence_level=CONFIDENCE,
            method="BCa",
            rng=np.random.default_rng(0),
        ).confidence_interval
    low, high = float(found.low), float(found.high)
    return (low, high) if math.isfinite(low + high) and low < high else None
