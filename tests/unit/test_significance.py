"""Tests of differences: against SciPy, by hand, and what they must not claim."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from multiflow.results.tables import Cell
from multiflow.results.tables.significance import (
    LEVEL,
    ONE_VALUE,
    WELCH,
    difference_test,
    holm,
    signed_rank_test,
    smallest_p,
)

EXACT = 12  # decimals printed: nothing is rounded off the mean


def published(value: float, std: float | None = None, digits: int = EXACT) -> Cell:
    return Cell(value, std, 5 if std is not None else None, "published", digits)


def test_two_means_are_compared_as_scipy_does() -> None:
    test = difference_test(Cell(95.90, 0.03, 4), published(95.85, 0.02))
    # A printed std of 0.02 may have been 0.025.
    expected = stats.ttest_ind_from_stats(95.90, 0.03, 4, 95.85, 0.025, 5, equal_var=False)
    assert test.name == WELCH
    assert test.p == pytest.approx(expected.pvalue, rel=1e-9)


def test_one_value_against_many_is_students_test_with_one_value() -> None:
    runs = [95.91, 95.88, 95.93, 95.86, 95.90]
    measured = Cell(float(np.mean(runs)), float(np.std(runs, ddof=1)), 5)
    test = difference_test(measured, published(95.80))
    assert test.name == ONE_VALUE
    assert test.p == pytest.approx(stats.ttest_ind(runs, [95.80], equal_var=True).pvalue, rel=1e-6)
    # The other way round: one seed, and a published std that may have been 0.005 larger.
    one = difference_test(Cell(95.80, None, 1), published(measured.value or 0, (measured.std or 0) - 0.005))
    assert one.p == pytest.approx(test.p, rel=1e-6)


def test_without_any_spread_nothing_can_be_told() -> None:
    for measured in (Cell(95.0, None, 1), Cell(50.0, None, 1)):
        test = difference_test(measured, published(95.0))
        assert (test.name, test.p, test.limit) == ("", None, None)
        assert test.reason == "one run and no published std"


def test_zero_std() -> None:
    """Printed as 0.00 it may be 0.005; of seeds that all give the same value, only equality can be seen."""
    test = difference_test(Cell(99.93, 0.0, 5), published(99.92, 0.0, digits=2))
    assert test.name == WELCH
    assert test.p == pytest.approx(2 * stats.t.sf(0.005 / (0.005 / math.sqrt(5)), 4))
    assert difference_test(Cell(90.0, 0.0, 5), published(99.0)).reason == "all seeds give the same value"
    same = difference_test(Cell(100.0, 0.0, 5), published(100.0, digits=0))
    assert same.p == 1


def test_what_printing_rounds_off_is_no_difference() -> None:
    measured = Cell(95.8549, 0.001, 5)
    assert difference_test(measured, published(95.85, digits=2)).p == 1
    assert (difference_test(measured, published(95.85)).p or 1) < LEVEL
    assert difference_test(Cell(95.94, 0.001, 5), published(95.9, digits=1)).p == 1


@pytest.mark.parametrize("theirs", [0.02, None])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_limit_is_where_the_test_turns(theirs: float | None, n: int) -> None:
    std = None if n == 1 else 0.03
    limit = difference_test(Cell(90.0, std, n), published(90.0, theirs, 2)).limit
    if std is None and theirs is None:
        assert limit is None
        return
    assert limit is not None
    for factor, passes in ((0.999, True), (1.001, False)):
        test = difference_test(Cell(90.0 + factor * limit, std, n), published(90.0, theirs, 2))
        assert test.p is not None
        assert (test.p >= LEVEL) == passes


@pytest.mark.parametrize("runs", [1, 2, 5])
@pytest.mark.parametrize("with_std", [True, False])
def test_equal_methods_are_rarely_called_different(runs: int, with_std: bool) -> None:
    """At most about 5 % of comparisons, with numbers that are rounded as in print."""
    if runs == 1 and not with_std:
        return
    random = np.random.default_rng(0)
    false = 0
    for _ in range(1000):
        theirs = random.normal(90, 0.1, 5)
        ours = random.normal(90, 0.1, runs)
        std = round(float(theirs.std(ddof=1)), 2) if with_std else None
        cell = Cell(float(ours.mean()), float(ours.std(ddof=1)) if runs > 1 else None, runs)
        p = difference_test(cell, published(round(float(theirs.mean()), 2), std, 2)).p
        false += p is not None and p < LEVEL
    assert false <= 65  # 50 expected, and two standard deviations of 7
    assert false > 0


def test_holms_correction_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


@pytest.mark.parametrize("n", [1, 2, 5, 10, 30])
def test_signed_ranks_are_scipys(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, n)
    test = signed_rank_test(differences)
    assert test.p == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue, rel=1e-9)
    assert test.pairs == n
    assert smallest_p(n) == pytest.approx(stats.wilcoxon(np.arange(1, n + 1), method="exact").pvalue, rel=1e-9)
    assert signed_rank_test(np.arange(1, n + 1)).p == pytest.approx(smallest_p(n))


def test_signed_ranks_with_ties_and_zeros_are_exact() -> None:
    """SciPy's exact method is not then; its permutation test goes through all signs."""
    differences = [1, 1, 2, -2, 3, 0, 4, -1]
    test = signed_rank_test(differences)
    assert test.p == pytest.approx(stats.wilcoxon(differences, method=stats.PermutationMethod()).pvalue)
    assert (test.pairs, test.direction) == (7, 1)
    # Equal but for the rounding of floats.
    assert signed_rank_test([0.1 + 0.2, -0.3]).p == signed_rank_test([0.3, -0.3]).p == 1
    assert signed_rank_test([0.0, 0.0]) == (1.0, 0, 0)
    assert signed_rank_test([-1.0, -2.0]).direction == -1
