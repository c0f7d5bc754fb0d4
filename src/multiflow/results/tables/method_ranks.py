"""Whether methods differ, over all classes of a run: ranks, Friedman's test, and each pair of methods."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from multiflow.results.tables.aggregate import Results
from multiflow.results.tables.context import TableContext
from multiflow.results.tables.significance import (
    LEVEL,
    SignedRankTest,
    Verdict,
    fewest_pairs,
    friedman_test,
    holm,
    mean_ranks,
    signed_rank_test,
    verdict,
)

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["RANKED_METRICS", "MethodComparison", "PairTest", "compare_methods"]

RANKED_METRICS = ("sample_auroc", "image_auroc", "aupro", "pixel_auroc")
"""Metrics by which methods are compared in tables and figures."""


@dataclass(frozen=True)
class PairTest:
    """Two methods by one metric.

    Attributes:
        method, other: the experiments.
        difference: method minus other, mean over the classes, percentage points.
        ranks: Wilcoxon's signed-rank test over the classes.
        p_holm: after Holm's correction over all pairs of this metric.
        verdict: what the method is, compared to the other.
    """

    method: str
    other: str
    difference: float
    ranks: SignedRankTest
    p_holm: float
    verdict: Verdict


@dataclass(frozen=True)
class MethodComparison:
    """All methods by one metric.

    Attributes:
        metric: its name.
        methods: the experiments that have it, in the order of the tables.
        ranks: of the methods, by class; 1 is the best, equal ones share their mean rank.
        friedman_p: of Friedman's test that all are equal; None where it isn't made.
        pairs: every two of the methods.
        reason: why no pair can be called different, in words; empty where that is open.
    """

    metric: str
    methods: tuple[str, ...]
    ranks: Mapping[str, tuple[float, ...]]
    friedman_p: float | None = None
    pairs: tuple[PairTest, ...] = ()
    reason: str = ""

    @property
    def mean_ranks(self) -> dict[str, float]:
        """Mean rank of each method over the classes, the best first; none where there is no class."""
        if not self.ranks:
            return {}
        means = map(statistics.fmean, zip(*self.ranks.values(), strict=True))
        return dict(sorted(zip(self.methods, means, strict=True), key=lambda item: item[1]))

    @property
    def undecided_groups(self) -> list[tuple[str, ...]]:
        """Neighbours by mean rank of whom no two differ: the largest groups, of two methods or more."""
        order = list(self.mean_ranks)
        different = {frozenset((pair.method, pair.other)) for pair in self.pairs if pair.verdict != "undecided"}
        groups: list[tuple[str, ...]] = []
        reached = 1  # a group that ends no further than the one before lies in it
        for start in range(len(order)):
            end = start + 1
            while end < len(order) and not any({name, order[end]} in different for name in order[start:end]):
                end += 1
            if end > max(reached, start + 1):
                groups.append(tuple(order[start:end]))
                reached = end
        return groups


def compare_methods(
    metrics: DataFrame, context: TableContext, names: Sequence[str] = RANKED_METRICS
) -> tuple[MethodComparison, ...]:
    """Compare the methods of the tables, metric by metric, over the classes that all of them have.

    A class counts with a method's mean over its seeds. With three methods or more, two of them are called different
    only where Friedman's test says that not all are equal (Demšar, Statistical comparisons of classifiers over multiple
    data sets, 2006; signed ranks for the pairs: Benavoli et al., Should we really use post-hoc tests based on
    mean-ranks?, 2016).

    Args:
        metrics: as from :func:`multiflow.results.records.load_metrics`, columns in any order.
        context: the run.
        names: the metrics.
    """
    results = Results(metrics)
    return tuple(_compare(results, name, context) for name in names)


def _compare(results: Results, metric: str, context: TableContext) -> MethodComparison:
    columns = {
        method: {name: results.of_class(method, metric, name).value for name in context.classes}
        for method in context.methods
    }
    found = {
        method: {name: value for name, value in column.items() if value is not None}
        for method, column in columns.items()
    }
    found = {method: column for method, column in found.items() if column}
    methods = tuple(found)
    classes = [name for name in context.classes if methods and all(name in column for column in found.values())]
    if len(methods) < 2 or not classes:
        reason = "there is nothing to compare with" if len(methods) < 2 else "no class has a value of every method"
        return MethodComparison(metric, methods, {}, reason=reason)
    rows = [[found[method][name] for method in methods] for name in classes]
    ranks = dict(zip(classes, mean_ranks(rows), strict=True))
    pairs = list(combinations(range(len(methods)), 2))
    differences = [[row[first] - row[second] for row in rows] for first, second in pairs]
    tests = [signed_rank_test(values) for values in differences]
    fewest = fewest_pairs(len(pairs))
    enough = len(classes) >= fewest
    friedman_p = friedman_test(rows) if enough and len(methods) > 2 else None
    equal = friedman_p is not None and friedman_p >= LEVEL
    return MethodComparison(
        metric,
        methods,
        ranks,
        friedman_p,
        tuple(
            PairTest(
                methods[first],
                methods[second],
                statistics.fmean(values),
                test,
                p_holm,
                "undecided" if equal else verdict(test, p_holm),
            )
            for (first, second), values, test, p_holm in zip(
                pairs, differences, tests, holm([test.p for test in tests]), strict=True
            )
        ),
        "" if enough else f"{len(methods)} methods need at least {fewest} classes, here are {len(classes)}",
    )
