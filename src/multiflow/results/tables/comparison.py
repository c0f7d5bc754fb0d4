"""The comparison with the paper: every published number of a method or ablation that this run measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from multiflow.results.tables.ablation_tests import AblationTest, compare_ablations
from multiflow.results.tables.build import make_table
from multiflow.results.tables.catalog import METHOD_TABLES, method_tables
from multiflow.results.tables.context import TableContext
from multiflow.results.tables.model import Cell, Table
from multiflow.results.tables.significance import LEVEL, DifferenceTest, difference_test, holm

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["NOT_COMPARABLE", "ComparedCell", "ComparedEffect", "Comparison", "compare_with_paper", "summary_line"]

NOT_COMPARABLE = "not comparable"
"""All that is said of data on which nothing was published."""

Verdict = Literal["agree", "differ", "undecided", "not measured"]


@dataclass(frozen=True)
class ComparedCell:
    """A published number and the measured one.

    Attributes:
        table: where it stands.
        experiment, metric: what was measured.
        class_name: the class, or ``average``.
        heading: the method or ablation as printed.
        published, measured: the numbers.
        test: the test of their difference; None where nothing was measured.
        p_holm: its p after Holm's correction over all cells.
        repeats: the table that prints this number first, where it is not this one; such a cell counts once.
    """

    table: str
    experiment: str
    metric: str
    class_name: str
    heading: str
    published: Cell
    measured: Cell
    test: DifferenceTest | None = None
    p_holm: float | None = None
    repeats: str = ""

    @property
    def difference(self) -> float | None:
        """Measured minus published, percentage points."""
        if self.measured.value is None or self.published.value is None:
            return None
        return self.measured.value - self.published.value

    @property
    def verdict(self) -> Verdict:
        """Agree: the seeds explain the difference. Differ: they do not, nor does the number of cells."""
        if self.test is None:
            return "not measured"
        if self.test.p is None or self.p_holm is None:
            return "undecided"
        if self.test.p >= LEVEL:
            return "agree"
        return "differ" if self.p_holm < LEVEL else "undecided"

    @property
    def reason(self) -> str:
        """Why nothing can be told, in words."""
        if self.test is None or self.verdict != "undecided":
            return ""
        return self.test.reason or "one of many cells"


@dataclass(frozen=True)
class ComparedEffect:
    """What an ablation changes, published and measured.

    Attributes:
        published: ablation minus default as printed, percentage points.
        digits: its decimals.
        test: the ablation against the default in this run.
    """

    published: float
    digits: int
    test: AblationTest

    @property
    def verdict(self) -> Literal["same direction", "opposite direction", "undecided"]:
        """Whether the run finds the published direction; it cannot tell where either shows none."""
        printed = round(self.published, self.digits)
        if self.test.verdict == "undecided" or printed == 0:
            return "undecided"
        return "same direction" if (self.test.verdict == "better") == (printed > 0) else "opposite direction"


@dataclass(frozen=True)
class Comparison:
    """All published numbers beside the measured ones, and the effects of the ablations."""

    cells: tuple[ComparedCell, ...]
    effects: tuple[ComparedEffect, ...]

    @property
    def counts(self) -> Counter[str]:
        """Cells by verdict, each number once."""
        return Counter(cell.verdict for cell in self.cells if not cell.repeats)


def compare_with_paper(metrics: DataFrame, context: TableContext) -> Comparison | None:
    """Compare what the tables print side by side; None where that is nothing.

    Args:
        metrics: as from :func:`multiflow.results.records.load_metrics`, columns in any order.
        context: the run.
    """
    if context.published is None:
        return None
    found: dict[tuple[str, str, str], ComparedCell] = {}
    cells: list[ComparedCell] = []
    # Averages first: they have a std, which the tables that repeat them leave out.
    layouts = method_tables(context.published)
    averages = [name for name, layout in layouts.items() if not layout.by_class]
    classes = [name for name, layout in layouts.items() if layout.by_class]
    for name in (*averages, *context.ablations, *classes):
        for cell in _side_by_side(make_table(name, metrics, context), context):
            first = found.setdefault((cell.experiment, cell.metric, cell.class_name), cell)
            cells.append(cell if first is cell else replace(first, table=name, repeats=first.table))
    if not cells:
        return None
    tests = {key: cell.test for key, cell in found.items() if cell.test is not None and cell.test.p is not None}
    corrected = dict(zip(tests, holm([test.p or 0.0 for test in tests.values()]), strict=True))
    cells = [replace(cell, p_holm=corrected.get((cell.experiment, cell.metric, cell.class_name))) for cell in cells]
    return Comparison(tuple(cells), tuple(_effects(cells, compare_ablations(metrics, context))))


def _side_by_side(table: Table, context: TableContext) -> Iterator[ComparedCell]:
    """Pairs of a published and a measured column of the same metric or method."""
    headings = {column.key: column.heading for column in table.columns}
    for key in headings.keys() & context.experiments.keys():
        headings[key] = context.experiments[key].published_heading
    for row in table.rows:
        for published_column, published in zip(table.columns, row.numbers, strict=True):
            for column, measured in zip(table.columns, row.numbers, strict=True):
                if not published_column.published or column.published:
                    continue
                if headings[column.key] != published_column.heading:
                    continue
                if published.value is None:
                    continue
                if not measured.competes:  # an average over other classes
                    measured = Cell(None, n=0)
                if table.row_key == "experiment":
                    place = (row.key, column.key, "average", row.key)
                elif table.row_key == "metric":
                    place = (column.key, row.key, "average", column.heading)
                else:
                    place = (column.key, METHOD_TABLES[table.name].metrics[0], row.key, column.heading)
                test = None if measured.value is None else difference_test(measured, published)
                # Here nothing is the best of its row.
                yield ComparedCell(table.name, *place, replace(published, rank=0), replace(measured, rank=0), test)


def _effects(cells: list[ComparedCell], tests: tuple[AblationTest, ...]) -> Iterator[ComparedEffect]:
    averages = {(cell.table, cell.experiment, cell.metric): cell for cell in cells if cell.class_name == "average"}
    for test in tests:
        ablation = averages.get((test.table, test.experiment, test.metric))
        default = averages.get((test.table, test.reference, test.metric))
        if ablation is None or default is None or ablation.measured.value is None or default.measured.value is None:
            continue
        if ablation.published.value is None or default.published.value is None:
            continue
        digits = max(ablation.published.digits, default.published.digits)
        yield ComparedEffect(ablation.published.value - default.published.value, digits, test)


def summary_line(comparison: Comparison | None) -> str:
    """How many numbers agree, in one line."""
    if comparison is None:
        return f"Comparison with the paper: {NOT_COMPARABLE}"
    counts = comparison.counts
    measured = counts.total() - counts["not measured"]
    line = (
        f"Comparison with the paper: of {measured} numbers {counts['agree']} agree, {counts['differ']} differ, "
        f"{counts['undecided']} undecided"
    )
    return line + (f"; {counts['not measured']} more were not measured" if counts["not measured"] else "")
