"""From single runs to cells: means over classes, then mean and std over seeds."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from multiflow.results.published import PUBLISHED_RUNS
from multiflow.results.tables.model import Cell

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
        self._runs: defaultdict[str, defaultdict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
        columns = [metrics[name] for name in ("experiment", "metric", "class", "seed", "value")]
        for experiment, metric, class_name, seed, value in zip(*columns, strict=True):
            self._runs[experiment][int(seed)].add(class_name)
            if not math.isnan(value):
                self._values[experiment, metric][class_name, int(seed)] = float(value)

    @property
    def metrics(self) -> list[str]:
        """Names of the metrics that have a value, sorted."""
        return sorted({metric for _, metric in self._values})

    def classes_with(self, metric: str) -> set[str]:
        """Classes for which any experiment has the metric."""
        return {name for (_, own), values in self._values.items() if own == metric for name, _ in values}

    def of_class(self, experiment: str, metric: str, class_name: str) -> Cell:
        """Mean and std of a class over its seeds."""
        values = self._values.get((experiment, metric), {})
        return _over_seeds([value for (name, _), value in sorted(values.items()) if name == class_name])

    def average(self, experiment: str, metric: str, classes: Sequence[str]) -> Cell:
        """Mean over the classes per seed, then mean and std over the seeds.

        A seed counts only if the metric is there for all of the classes. As long as no seed has a run of all of
        them, the average is over those of :meth:`finished`, and is not held against others.
        """
        values = self._values.get((experiment, metric), {})
        finished, seeds = self.finished(experiment, classes)
        means = []
        for seed in seeds:
            found = [values[name, seed] for name in finished if (name, seed) in values]
            if len(found) == len(finished):
                means.append(statistics.fmean(found))
        return replace(_over_seeds(means), competes=len(finished) == len(classes))

    def finished(self, experiment: str, classes: Sequence[str]) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The classes that averages are over, and the seeds that have a run of each.

        They are all classes, or, as long as no seed has all, the most that one seed has.
        """
        found = {
            seed: tuple(name for name in classes if name in done)
            for seed, done in sorted(self._runs.get(experiment, {}).items())
        }
        most = max(found.values(), key=len, default=())
        return most, tuple(seed for seed, done in found.items() if most and set(most) <= set(done))

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
