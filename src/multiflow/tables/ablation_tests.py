"""Whether an ablation differs from the default, class by class within the run: no published number is needed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from multiflow.tables.ablations import ABLATIONS
from multiflow.tables.aggregate import Results
from multiflow.tables.context import TableContext
from multiflow.tables.significance import LEVEL, SignedRankTest, holm, signed_rank_test, smallest_p

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["REFERENCE", "AblationTest", "ablation_notes", "compare_ablations"]

REFERENCE = "multiflow"
"""The experiment that every ablation is held against: a row of each ablation table."""


@dataclass(frozen=True)
class AblationTest:
    """An ablation against the default by one metric.

    Attributes:
        table, experiment, metric: the cell of the table.
        difference: ablation minus default, mean over the classes, percentage points.
        classes: classes that both ran on.
        ranks: Wilcoxon's signed-rank test over the classes.
        p_holm: after Holm's correction over all tests of the run.
    """

    table: str
    experiment: str
    metric: str
    difference: float
    classes: int
    ranks: SignedRankTest
    p_holm: float

    @property
    def smallest_p(self) -> float:
        """The smallest p that these classes could have given."""
        return smallest_p(self.ranks.pairs)

    @property
    def verdict(self) -> Literal["better", "worse", "cannot tell"]:
        """What the ablation is, compared to the default."""
        if self.p_holm >= LEVEL:
            return "cannot tell"
        return "better" if self.ranks.direction > 0 else "worse"


def compare_ablations(metrics: DataFrame, context: TableContext) -> tuple[AblationTest, ...]:
    """Test the rows of the ablation tables against the default, paired by class.

    A class's difference is the mean over the seeds that both experiments have. An experiment whose settings are
    not those of its row stays out; where the default's are not, the whole table does.

    Args:
        metrics: as from :func:`multiflow.metrics.load_metrics`, columns in any order.
        context: the run.
    """
    results = Results(metrics)
    found = []
    for table, layout in ABLATIONS.items():
        named = [
            name
            for name, row in layout.rows.items()
            if name not in context.experiments or row.contradiction(context.experiments[name]) is None
        ]
        if REFERENCE not in named:
            continue
        for name in named:
            for metric in layout.metrics:
                pairs = results.paired_differences(name, REFERENCE, metric)
                if name != REFERENCE and pairs:
                    found.append((table, name, metric, list(pairs.values())))
    tests = [signed_rank_test(differences) for *_, differences in found]
    corrected = holm([test.p for test in tests])
    return tuple(
        AblationTest(table, name, metric, statistics.fmean(differences), len(differences), ranks, p_holm)
        for (table, name, metric, differences), ranks, p_holm in zip(found, tests, corrected, strict=True)
    )


def ablation_notes(tests: Sequence[AblationTest], context: TableContext) -> tuple[str, ...]:
    """Footnotes: the test, what it can tell with the classes at hand, and trainings of another length."""
    if not tests:
        return ("No ablation was run beside the default.",)
    most = max(test.ranks.pairs for test in tests)
    least = smallest_p(most)
    notes = [
        f"Ablation minus default ({REFERENCE}), mean over the classes, percentage points, and p of Wilcoxon's "
        "signed-rank test over the classes (paired, two-sided, exact). A class counts with the mean over the seeds "
        "that both have.",
        f"Better or worse (*): p below {100 * LEVEL:g} % after Holm's correction over all {len(tests)} tests.",
    ]
    if len(tests) * least >= LEVEL:
        notes.append(
            f"Nothing can be told here: {most} class{'es' if most != 1 else ''} cannot give a p below {least:.2g}, "
            f"and the smallest of {len(tests)} must be below {LEVEL / len(tests):.2g}."
        )
    if REFERENCE in context.experiments:
        default = context.experiments[REFERENCE].protocol.epochs
        others: dict[int, list[str]] = {}
        for name in dict.fromkeys(test.experiment for test in tests if test.experiment in context.experiments):
            others.setdefault(context.experiments[name].protocol.epochs, []).append(name)
        notes += [
            f"Trained for {epochs} instead of {default} epochs, which is part of the difference: {', '.join(names)}."
            for epochs, names in others.items()
            if epochs != default
        ]
    return tuple(notes)
