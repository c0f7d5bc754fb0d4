"""The comparison of the methods as tables: mean ranks, each pair, and the ranks on every class."""

from __future__ import annotations

from collections.abc import Sequence

from multiflow.results.metric_names import metric_heading
from multiflow.results.tables.context import TableContext, class_heading
from multiflow.results.tables.method_ranks import MethodComparison
from multiflow.results.tables.model import MISSING, Cell, Column, Row, Table, Words
from multiflow.results.tables.notes import data_note, left_out_notes
from multiflow.results.tables.significance import LEVEL

__all__ = ["method_tables"]

_CHANCE = f"{100 * LEVEL:g} %"

_PAIR_COLUMNS = (
    Column("metric", "Metric", kind="words"),
    Column("method", "Method", kind="words"),
    Column("other", "Other method", kind="words"),
    Column("difference", "Difference", kind="number"),
    Column("classes", "Classes", kind="number"),
    Column("differing_classes", "Classes that differ", kind="number", csv_only=True),
    Column("p", "p", kind="number"),
    Column("p_holm", "p (Holm)", kind="number"),
    Column("verdict", "The method is", kind="words"),
)


def method_tables(comparisons: Sequence[MethodComparison], context: TableContext) -> tuple[Table, Table, Table]:
    """Mean ranks with Friedman's test (a row per metric), a row per pair, and a row per metric and class."""
    return _mean_ranks(comparisons, context), _pairs(comparisons, context), _class_ranks(comparisons, context)


def _mean_ranks(comparisons: Sequence[MethodComparison], context: TableContext) -> Table:
    rows = []
    for comparison in comparisons:
        means = comparison.mean_ranks
        cells = (
            *(Cell(means.get(method)) for method in context.methods),
            Cell(len(comparison.ranks), digits=0),
            Cell(comparison.friedman_p, form="chance"),
        )
        rows.append(Row(comparison.metric, (metric_heading(comparison.metric),), cells))
    missing = any(cell.value is None for row in rows for cell in row.numbers)
    return Table(
        name="method_ranks",
        caption="Mean ranks of the methods over the classes",
        row_key="metric",
        stub=("Metric",),
        columns=(
            *_rank_columns(context),
            Column("classes", "Classes", kind="number"),
            Column("p", "p (Friedman)", kind="number"),
        ),
        rows=tuple(rows),
        notes=(
            data_note(context),
            *left_out_notes(list(context.methods), context),
            "Rank 1 is the best method of a class; equal ones share their mean rank. A class counts with the mean over "
            "a method's seeds, and where all methods have a value.",
            "p: Friedman's test that all methods are equal.",
            *_reasons(comparisons),
            *([f"{MISSING}: not computed, or not tested."] if missing else []),
        ),
    )


def _pairs(comparisons: Sequence[MethodComparison], context: TableContext) -> Table:
    rows: list[Row] = []
    for comparison in comparisons:
        for index, pair in enumerate(comparison.pairs):
            cells = (
                Words(metric_heading(comparison.metric), comparison.metric),
                Words(context.methods[pair.method], pair.method),
                Words(context.methods[pair.other], pair.other),
                Cell(pair.difference, form="signed"),
                Cell(len(comparison.ranks), digits=0),
                Cell(pair.ranks.pairs, digits=0),
                Cell(pair.ranks.p, form="chance"),
                Cell(pair.p_holm, form="chance"),
                Words(pair.verdict, strong=pair.verdict != "undecided"),
            )
            rows.append(Row("", (), cells, rule_above=index == 0 and bool(rows)))
    return Table(
        name="method_tests",
        caption="Every two methods, paired by class",
        row_key="",
        stub=(),
        columns=_PAIR_COLUMNS,
        rows=tuple(rows),
        notes=(
            "Method minus other method, mean over the classes, percentage points, and p of Wilcoxon's signed-rank test "
            "over the classes (paired, two-sided, exact), as it is and after Holm's correction over the pairs of a "
            "metric.",
            f"Better or worse: p below {_CHANCE} after the correction, and, of three methods or more, Friedman's p "
            f"below {_CHANCE}, too. Undecided: these classes cannot tell, which is no proof of equality.",
            *_reasons(comparisons),
        ),
    )


def _class_ranks(comparisons: Sequence[MethodComparison], context: TableContext) -> Table:
    rows: list[Row] = []
    for comparison in comparisons:
        for index, (class_name, ranks) in enumerate(comparison.ranks.items()):
            own = dict(zip(comparison.methods, ranks, strict=True))
            place = (
                Words(metric_heading(comparison.metric), comparison.metric),
                Words(class_heading(class_name, context), class_name),
            )
            numbers = tuple(Cell(own.get(method), digits=1) for method in context.methods)
            rows.append(Row("", (), (*place, *numbers), rule_above=index == 0 and bool(rows)))
    return Table(
        name="class_ranks",
        caption="Ranks of the methods, class by class",
        row_key="",
        stub=(),
        columns=(
            Column("metric", "Metric", kind="words"),
            Column("class", "Class", kind="words"),
            *_rank_columns(context),
        ),
        rows=tuple(rows),
        notes=() if rows else _reasons(comparisons),
    )


def _rank_columns(context: TableContext) -> tuple[Column, ...]:
    return tuple(Column(method, heading, kind="number") for method, heading in context.methods.items())


def _reasons(comparisons: Sequence[MethodComparison]) -> tuple[str, ...]:
    """Why no two methods can be called different; metrics of one reason together."""
    groups: dict[str, list[str]] = {}
    for comparison in comparisons:
        if comparison.reason:
            groups.setdefault(comparison.reason, []).append(metric_heading(comparison.metric))
    if len(groups) == 1 and len(next(iter(groups.values()))) == len(comparisons):
        return (f"No test can decide anything here: {next(iter(groups))}.",)
    return tuple(f"No test can decide anything by {', '.join(names)}: {reason}." for reason, names in groups.items())
