"""From single runs to cells: means over classes, then mean and std over seeds."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from multiflow.published import PUBLISHED_RUNS
from multiflow.tables.model import Cell

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Results", "published_cell"]


class Results:
    """The rows of ``metrics.csv``, looked up by experiment, metric, class and seed.

    Args:
        metrics: columns ``experiment``, ``class``, ``seed``, ``metric``, ``value`` in any order; values are
            fractions, NaN where undefined.
    """

    def __init__(self, metrics: DataFrame) -> None:
        self._values: defaultdict[tuple[str, str], dict[tuple[str, int], float]] = defaultdict(dict)
        columns = [metrics[name] for name in ("experiment", "metric", "class", "seed", "value")]
        for experiment, metric, class_name, seed, value in zip(*columns, strict=True):
            if not math.isnan(value):
                self._values[experiment, metric][class_name, int(seed)] = float(value)

    def of_class(self, experiment: str, metric: str, class_name: str) -> Cell:
        """Mean and std of a class over its seeds."""
        values = self._values.get((experiment, metric), {})
        return _over_seeds([value for (name, _), value in sorted(values.items()) if name == class_name])

    def average(self, experiment: str, metric: str, classes: Sequence[str]) -> Cell:
        """Mean over the classes per seed, then mean and std over the seeds.

        A seed counts only if the metric is there for all classes; without one such seed the cell is empty.
        """
        values = self._values.get((experiment, metric), {})
        means = []
        for seed in sorted({seed for _, seed in values}):
            row = [values.get((name, seed)) for name in classes]
            complete = [value for value in row if value is not None]
            if complete and len(complete) == len(row):
                means.append(statistics.fmean(complete))
        return _over_seeds(means)

    def paired_differences(self, experiment: str, reference: str, metric: str) -> dict[str, float]:
        """Experiment minus reference by class, in percentage points, a mean over the seeds that both have."""
        ours = self._values.get((experiment, metric), {})
        theirs = self._values.get((reference, metric), {})
        pairs: defaultdict[str, list[float]] = defaultdict(list)
        for class_name, seed in sorted(ours.keys() & theirs.keys()):
            pairs[class_name].append(100 * (ours[class_name, seed] - theirs[class_name, seed]))
        return {class_name: statistics.fmean(differences) for class_name, differences in pairs.items()}


def _over_seeds(fractions: list[float]) -> Cell:
    """Mean and sample standard deviation (``n`` - 1 in the denominator) in percent; no std for one run."""
    n = len(fractions)
    if n == 0:
        return Cell(None, n=0)
    std = 100 * statistics.stdev(fractions) if n > 1 else None
    return Cell(100 * statistics.fmean(fractions), std, n)


def published_cell(mean: str, std: str = "") -> Cell:
    """A published number, with the digits that were printed."""
    if not mean:
        return Cell(None, source="published")
    return Cell(
        float(mean),
        float(std) if std else None,
        PUBLISHED_RUNS if std else None,
        source="published",
        digits=len(mean.partition(".")[2]),
    )
