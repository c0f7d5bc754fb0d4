"""What few seeds and few classes can tell: tests of differences, ranks, and Holm's correction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal, NamedTuple, TypeAlias

from multiflow.results.tables.model import Cell

__all__ = [
    "LEVEL",
    "ONE_VALUE",
    "WELCH",
    "DifferenceTest",
    "SignedRankTest",
    "Verdict",
    "difference_test",
    "fewest_pairs",
    "friedman_test",
    "holm",
    "mean_ranks",
    "signed_rank_test",
    "smallest_p",
    "verdict",
]

LEVEL = 0.05
"""Level of all tests, two-sided."""

Verdict: TypeAlias = Literal["better", "worse", "undecided"]

WELCH = "Welch's t-test"
ONE_VALUE = "t-test of one value"

_STD_ROUNDING = 0.005
"""A printed std may have been larger by this much: it has two decimals."""

_SAME = 9
"""Decimals of percentage points from which on two differences count as the same: AUROCs are fractions of integers."""


@dataclass(frozen=True)
class DifferenceTest:
    """Whether two means differ by more than their runs explain.

    Attributes:
        name: the test; empty where there is none.
        p: two-sided, of this one test; None where there is none.
        limit: the largest difference that passes as none at :data:`LEVEL`, percentage points.
        reason: why there is no test, in words.
    """

    name: str = ""
    p: float | None = None
    limit: float | None = None
    reason: str = ""


def difference_test(measured: Cell, published: Cell) -> DifferenceTest:
    """Test the difference of a measured and a published number.

    Both with a std: Welch's t-test of two means. Only one of them with a std: the other counts as one more run
    of the same spread, ``t = difference / (std * sqrt(1 + 1/n))`` with ``n`` - 1 degrees of freedom: this is so
    for one seed, and on the safe side for a published mean over a number of runs that is not said. None with a
    std: nothing can be told. What printing rounded off counts in favour of no difference: half a unit of the
    mean's last digit, and of the std's, which may be printed as 0.00.

    Args:
        measured, published: both with a value.
    """
    assert measured.value is not None
    assert published.value is not None
    from scipy.special import stdtr, stdtrit

    rounding = 0.5 * 10**-published.digits
    difference = max(0.0, abs(measured.value - published.value) - rounding)
    ours = _spread(measured, 0)
    theirs = _spread(published, _STD_ROUNDING)
    if ours and theirs:
        name = WELCH
        squares = [std**2 / n for std, n in (ours, theirs)]
        error = math.sqrt(sum(squares))
        # Welch and Satterthwaite; the printed std is never taken as 0, so neither is the sum.
        freedom = sum(squares) ** 2 / sum(
            square**2 / (n - 1) for square, (_, n) in zip(squares, (ours, theirs), strict=True)
        )
    elif ours or theirs:
        name = ONE_VALUE
        std, n = ours or theirs or (0.0, 0)
        error = std * math.sqrt(1 + 1 / n)
        freedom = n - 1
    else:
        return DifferenceTest(reason="one run and no published std")
    if error == 0:
        if difference > 0:
            return DifferenceTest(reason="all seeds give the same value")
        return DifferenceTest(name, 1.0, rounding)
    p = 2 * float(stdtr(freedom, -difference / error))
    return DifferenceTest(name, p, rounding + float(stdtrit(freedom, 1 - LEVEL / 2)) * error)


def _spread(cell: Cell, rounding: float) -> tuple[float, int] | None:
    """Std and number of runs, where there are both and at least two runs."""
    if cell.std is None or cell.n is None or cell.n < 2:
        return None
    return cell.std + rounding, cell.n


def holm(p: Sequence[float]) -> list[float]:
    """P-values after Holm's correction, in the order given.

    Calling the corrected ones below a level significant keeps the chance of any false one below it, however the
    tests depend on each other (Holm, A simple sequentially rejective multiple test procedure, 1979).
    """
    corrected = [0.0] * len(p)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda index: p[index])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[index]))
        corrected[index] = largest
    return corrected


class SignedRankTest(NamedTuple):
    """Wilcoxon's signed-rank test: two-sided p, the pairs that differ, and which sign (1, -1) ranks higher, or 0."""

    p: float
    pairs: int
    direction: int


def signed_rank_test(differences: Sequence[float]) -> SignedRankTest:
    """Wilcoxon's signed-rank test of paired differences.

    Pairs without a difference are left out, equal differences share their mean rank. The p-value is exact also
    then (SciPy's exact method is not: AUROCs of few samples are often equal): the distribution of the rank sum
    over all signs, built up rank by rank. Without any difference p is 1.
    """
    import numpy as np

    values = np.round(np.asarray(differences, dtype=np.float64), _SAME)
    values = values[values != 0]
    _, group, sizes = np.unique(np.abs(values), return_inverse=True, return_counts=True)
    # Twice the mean rank of each group: an integer.
    ranks = (2 * np.cumsum(sizes) - sizes + 1)[group]
    chances = np.zeros(int(ranks.sum()) + 1)
    chances[0] = 1.0
    for rank in ranks:
        shifted = np.zeros_like(chances)
        shifted[rank:] = chances[:-rank]
        chances = (chances + shifted) / 2
    total = int(ranks[values > 0].sum())
    tail = min(chances[: total + 1].sum(), chances[total:].sum())
    return SignedRankTest(min(1.0, 2 * float(tail)), len(values), int(np.sign(2 * total - ranks.sum())))


def smallest_p(pairs: int) -> float:
    """The smallest two-sided p that a signed-rank test of so many differing pairs can reach: all of one sign."""
    return min(1.0, 2.0 ** (1 - pairs))


def fewest_pairs(tests: int) -> int:
    """The fewest differing pairs with which one of so many signed-rank tests can pass Holm's correction."""
    return next(pairs for pairs in count(1) if tests * smallest_p(pairs) < LEVEL)


def verdict(test: SignedRankTest, p_holm: float) -> Verdict:
    """What a test says of the first of its pairs, by its p after Holm's correction."""
    if p_holm >= LEVEL:
        return "undecided"
    return "better" if test.direction > 0 else "worse"


def mean_ranks(rows: Sequence[Sequence[float]]) -> list[tuple[float, ...]]:
    """Ranks within each row, 1 for the highest value; equal values share their mean rank.

    Args:
        rows: percentage points.
    """
    import numpy as np
    from scipy.stats import rankdata

    return [tuple(row) for row in rankdata(-np.round(np.asarray(rows, dtype=np.float64), _SAME), axis=1).tolist()]


def friedman_test(rows: Sequence[Sequence[float]]) -> float:
    """P of Friedman's test that all columns are equal; 1 where no row tells two of them apart.

    Args:
        rows: percentage points, three columns or more.
    """
    import numpy as np
    from scipy.stats import friedmanchisquare

    values = np.round(np.asarray(rows, dtype=np.float64), _SAME)
    if (values == values[:, :1]).all():
        return 1.0
    return float(friedmanchisquare(*values.T).pvalue)
