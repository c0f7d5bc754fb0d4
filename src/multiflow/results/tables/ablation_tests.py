"""Whether an ablation differs from the default, class by class within the run: no published number is needed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from multiflow.results.metric_names import metric_heading
from multiflow.results.tables.aggregate import Results
from multiflow.results.tables.catalog import table_experiments
from multiflow.results.tables.context import TableContext
from multiflow.results.tables.model import Cell, Column, Row, Table, Words
from multiflow.results.tables.notes import data_note, doubt_notes, left_out_notes
from multiflow.results.tables.significance import LEVEL, SignedRankTest, holm, signed_rank_test, smallest_p

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["AblationTest", "ablation_tests_table", "compare_ablations"]


@dataclass(frozen=True)
class AblationTest:
    """An ablation against the default by one metric.

    Attributes:
        table, experiment, metric: the cell of the table.
        reference: the default, a row of the same table.
        difference: ablation minus default, mean over the classes, percentage points.
        classes: classes that both ran on.
        ranks: Wilcoxon's signed-rank test over the classes.
        p_holm: after Holm's correction over all tests of the run.
    """

    table: str
    experiment: str
    metric: str
    reference: str
    difference: float
    classes: int
    ranks: SignedRankTest
    p_holm: float

    @property
    def smallest_p(self) -> float:
        """The smallest p that these classes could have given."""
        return smallest_p(self.ranks.pairs)

    @property
    def verdict(self) -> Literal["better", "worse", "undecided"]:
        """What the ablation is, compared to the default."""
        if self.p_holm >= LEVEL:
            return "undecided"
        return "better" if self.ranks.direction > 0 else "worse"


def compare_ablations(metrics: DataFrame, context: TableContext) -> tuple[AblationTest, ...]:
    """Test the rows of the ablation tables against the default, paired by class.

    A class's difference is the mean over the seeds that both experiments have. An experiment whose settings are
    not those of its row stays out; where the default's are not, the whole table does.

    Args:
        metrics: as from :func:`multiflow.results.records.load_metrics`, columns in any order.
        context: the run.
    """
    results = Results(metrics)
    found = []
    for table, layout in context.ablations.items():
        contradictions = context.contradictions(table)
        if layout.reference in contradictions:
            continue
        for name in layout.rows:
            for metric in layout.metrics:
                pairs = results.paired_differences(name, layout.reference, metric)
                if name not in (layout.reference, *contradictions) and pairs:
                    found.append(((table, name, metric, layout.reference), list(pairs.values())))
    tests = [signed_rank_test(differences) for _, differences in found]
    corrected = holm([test.p for test in tests])
    return tuple(
        AblationTest(*place, statistics.fmean(differences), len(differences), ranks, p_holm)
        for (place, differences), ranks, p_holm in zip(found, tests, corrected, strict=True)
    )


_COLUMNS = (
    Column("table", "Table", kind="words"),
    Column("experiment", "Ablation", kind="words"),
    Column("reference", "Default", kind="words", csv_only=True),
    Column("metric", "Metric", kind="words"),
    Column("difference", "Difference to the default", kind="number"),
    Column("classes", "Classes", kind="number"),
    Column("differing_classes", "Classes that differ", kind="number", csv_only=True),
    Column("p", "p", kind="number"),
    Column("p_holm", "p (Holm)", kind="number"),
    Column("smallest_p", "Smallest p", kind="number", csv_only=True),
    Column("verdict", "The ablation is", kind="words"),
)


def ablation_tests_table(tests: Sequence[AblationTest], context: TableContext) -> Table:
    """A row per ablation and metric."""
    rows = []
    for index, test in enumerate(tests):
        cells = (
            Words(context.ablations[test.table].place, test.table),
            Words(test.experiment),
            Words(test.reference),
            Words(metric_heading(test.metric), test.metric),
            Cell(test.difference, form="signed"),
            Cell(test.classes, digits=0),
            Cell(test.ranks.pairs, digits=0),
            Cell(test.ranks.p, form="chance"),
            Cell(test.p_holm, form="chance"),
            Cell(test.smallest_p, form="chance"),
            Words(test.verdict, strong=test.verdict != "undecided"),
        )
        rows.append(Row("", (), cells, rule_above=index > 0 and tests[index - 1].table != test.table))
    return Table(
        name="ablation_tests",
        caption="What each ablation changes, paired by class",
        row_key="",
        stub=(),
        columns=_COLUMNS,
        rows=tuple(rows),
        notes=(
            data_note(context),
            *doubt_notes(context),
            *left_out_notes(table_experiments("ablation_tests", context), context),
            *_notes(tests, context),
        ),
        sortable=bool(rows),
    )


def _notes(tests: Sequence[AblationTest], context: TableContext) -> tuple[str, ...]:
    """Footnotes: the test, what it can tell with the classes at hand, and trainings of another length."""
    if not tests:
        return ("No ablation was run beside the default.",)
    most = max(test.ranks.pairs for test in tests)
    least = smallest_p(most)
    references = ", ".join(dict.fromkeys(test.reference for test in tests))
    notes = [
        f"Ablation minus default ({references}), mean over the classes, percentage points, and p of Wilcoxon's "
        "signed-rank test over the classes (paired, two-sided, exact). A class counts with the mean over the seeds "
        "that both have.",
        f"Better or worse: p below {100 * LEVEL:g} % after Holm's correction over all {len(tests)} tests.",
    ]
    if len(tests) * least >= LEVEL:
        notes.append(
            f"Nothing can be told here: {most} class{'es' if most != 1 else ''} cannot give a p below {least:.2g}, "
            f"and the smallest of {len(tests)} must be below {LEVEL / len(tests):.2g}."
        )
    others: dict[tuple[str, str], list[str]] = {}
    for name, reference in dict.fromkeys((test.experiment, test.reference) for test in tests):
        own, default = (
            context.experiments[key].protocol.get("training") if key in context.experiments else None
            for key in (name, reference)
        )
        if own and default and own != default:
            others.setdefault((own, default), []).append(name)
    notes += [
        f"Trained otherwise ({own} instead of {default}), which is part of the difference: {', '.join(names)}."
        for (own, default), names in others.items()
    ]
    return tuple(notes)
