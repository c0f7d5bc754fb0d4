"""Intervals of an AUROC: samples with all their views are drawn, and the intervals hold what they should."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap, mannwhitneyu, norm

from multiflow.metrics import CONFIDENCE
from multiflow.metrics.intervals import auroc_interval
from multiflow.metrics.ranking import auroc


def column(values: np.ndarray) -> np.ndarray:
    return values[:, None]


def drawn(random: np.random.Generator, normal: int, anomalous: int, true: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores [N, 1] of two normal distributions whose AUROC is ``true``."""
    scores = np.concatenate([random.normal(size=normal), random.normal(np.sqrt(2) * norm.ppf(true), size=anomalous)])
    return column(np.arange(normal + anomalous) >= normal), column(scores)


def test_one_view_is_scipys_bootstrap_of_the_two_groups() -> None:
    labels, scores = drawn(np.random.default_rng(3), 30, 20, 0.9)

    def area(normal: np.ndarray, anomalous: np.ndarray) -> float:
        return float(mannwhitneyu(anomalous, normal).statistic) / (len(normal) * len(anomalous))

    groups, random = (scores[:30, 0], scores[30:, 0]), np.random.default_rng(0)
    expected = bootstrap(groups, area, n_resamples=1999, batch=100, vectorized=False, rng=random).confidence_interval
    interval = auroc_interval(labels, scores)
    assert interval == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert interval == auroc_interval(labels, scores), "the resamples are always the same"
    assert interval is not None
    assert interval[0] < (auroc(labels.ravel(), scores.ravel()) or 0) < interval[1]


def test_views_are_not_drawn_alone() -> None:
    """Views that repeat each other tell no more than one; drawn alone, ten of them would narrow the interval."""
    labels, scores = drawn(np.random.default_rng(4), 40, 40, 0.85)
    once, repeated = (auroc_interval(np.tile(labels, views), np.tile(scores, views)) for views in (1, 10))
    assert repeated == pytest.approx(once, abs=1e-12)
    alone = auroc_interval(column(np.tile(labels, 10).ravel()), column(np.tile(scores, 10).ravel()))
    assert once is not None
    assert alone is not None
    assert once[1] - once[0] > 2 * (alone[1] - alone[0])


def test_a_sample_may_have_normal_and_anomalous_views() -> None:
    random = np.random.default_rng(5)
    labels = np.zeros((40, 5), bool)
    labels[20:, :2] = True
    scores = random.normal(size=labels.shape) + 1.5 * labels
    interval = auroc_interval(labels, scores)
    assert interval is not None
    assert interval[0] < (auroc(labels.ravel(), scores.ravel()) or 0) < interval[1]


def test_the_interval_holds_the_true_value_as_often_as_it_says() -> None:
    random, held = np.random.default_rng(6), 0
    for _ in range(60):
        interval = auroc_interval(*drawn(random, 40, 60, 0.9))
        assert interval is not None
        held += interval[0] <= 0.9 <= interval[1]
    assert CONFIDENCE == 0.95
    assert 52 <= held < 60  # 57 expected, and three standard deviations of 1.7


@pytest.mark.parametrize(
    "scores", [[0, 1, 2, 3], [3, 2, 1, 0], [1, 1, 1, 1], [1, 1, 2, 2]], ids=["perfect", "reversed", "equal", "ties"]
)
def test_resamples_that_are_all_alike_have_no_interval(scores: list[float]) -> None:
    assert auroc_interval([[0], [0], [1], [1]], column(np.array(scores))) is None


def test_two_of_each_are_needed() -> None:
    assert auroc_interval([[0], [1], [1]], [[2], [1], [3]]) is None
    assert auroc_interval([[0], [0], [0]], [[2], [1], [3]]) is None
    assert auroc_interval([[0], [0], [1], [1]], [[0], [2], [1], [3]]) is not None
