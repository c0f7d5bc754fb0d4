"""The comparison with the paper as tables, and how to read them."""

from __future__ import annotations

from multiflow.results.metric_names import metric_heading
from multiflow.results.published import published_methods, published_source
from multiflow.results.tables.catalog import main_table, table_experiments, table_place
from multiflow.results.tables.comparison import NOT_COMPARABLE, ComparedCell, ComparedEffect, Comparison, summary_line
from multiflow.results.tables.context import TableContext, class_heading
from multiflow.results.tables.model import DAGGER, Cell, Column, Row, Table, Words
from multiflow.results.tables.notes import data_note, departure_notes, doubt_notes, left_out_notes
from multiflow.results.tables.significance import LEVEL, ONE_VALUE, WELCH, DifferenceTest

__all__ = ["comparison_tables"]

_CHANCE = f"{100 * LEVEL:g} %"

_COLUMNS = (
    Column("table", "Table", kind="words"),
    Column("experiment", "Method or ablation", kind="words"),
    Column("class", "Class", kind="words"),
    Column("metric", "Metric", kind="words"),
    Column("published", "Published", published=True),
    Column("measured", "Measured"),
    Column("difference", "Difference", kind="number"),
    Column("test", "Test", kind="words", csv_only=True),
    Column("limit", "Limit", kind="number"),
    Column("p", "p", kind="number"),
    Column("p_holm", "p (Holm)", kind="number"),
    Column("verdict", "Verdict", kind="words"),
    Column("reason", "Reason", kind="words", csv_only=True),
    Column("repeats", "Repeats", kind="words", csv_only=True),
)

_EFFECT_COLUMNS = (
    Column("effect_published", "Published", published=True, kind="number"),
    Column("effect_measured", "Measured", kind="number"),
    Column("effect_classes", "Classes", kind="number"),
    Column("effect_p", "p", kind="number"),
    Column("effect_p_holm", "p (Holm)", kind="number"),
    Column("effect_verdict", "Verdict", kind="words"),
)


def comparison_tables(comparison: Comparison | None, context: TableContext) -> tuple[Table, ...]:
    """Every published number beside the measured one, then, where there are ablations, what each of them changes.

    The first table has the ablations' effects, too, for programs. Where nothing is comparable it says that and
    nothing else.
    """
    caption = "Comparison with the paper"
    if comparison is None:
        return (Table("comparison", caption, "", (), (), (), lead=NOT_COMPARABLE),)
    effects = {(effect.test.table, effect.test.experiment, effect.test.metric): effect for effect in comparison.effects}
    rows = []
    for index, cell in enumerate(comparison.cells):
        key = cell.table, cell.experiment, cell.metric
        effect = _effect_cells(effects.get(key) if cell.class_name == "average" else None)
        rule = index > 0 and comparison.cells[index - 1].table != cell.table
        rows.append(Row("", (), (*_cells(cell, context), *effect), rule_above=rule))
    numbers = Table(
        name="comparison",
        caption=caption,
        row_key="",
        stub=(),
        columns=(*_COLUMNS, *(_for_programs(column) for column in _EFFECT_COLUMNS)),
        rows=tuple(rows),
        notes=_notes(comparison, context),
        lead=f"{summary_line(comparison)}.",
        sortable=True,
    )
    return (numbers, _effects(comparison, context)) if comparison.effects else (numbers,)


def _cells(cell: ComparedCell, context: TableContext) -> tuple[Cell | Words, ...]:
    test = cell.test or DifferenceTest()
    average = cell.class_name == "average"
    repeated = f" (as in {table_place(cell.repeats, context)})" if cell.repeats else ""
    return (
        Words(table_place(cell.table, context), cell.table),
        Words(cell.heading, cell.experiment),
        Words("average" if average else class_heading(cell.class_name, context), cell.class_name),
        Words(metric_heading(cell.metric), cell.metric),
        cell.published,
        cell.measured,
        Cell(cell.difference, form="signed"),
        Words(test.name),
        Cell(test.limit),
        Cell(test.p, form="chance"),
        Cell(cell.p_holm, form="chance"),
        Words(cell.verdict + repeated, cell.verdict, strong=cell.verdict == "differ"),
        Words(cell.reason),
        Words(cell.repeats),
    )


def _effects(comparison: Comparison, context: TableContext) -> Table:
    rows = []
    for index, effect in enumerate(comparison.effects):
        test = effect.test
        place = (
            Words(table_place(test.table, context), test.table),
            Words(test.experiment),
            Words(metric_heading(test.metric), test.metric),
        )
        rule = index > 0 and comparison.effects[index - 1].test.table != test.table
        rows.append(Row("", (), (*place, *_effect_cells(effect)), rule_above=rule))
    return Table(
        name="comparison_effects",
        caption="What each ablation changes, measured against published",
        row_key="",
        stub=(),
        columns=(
            Column("table", "Table", kind="words"),
            Column("experiment", "Ablation", kind="words"),
            Column("metric", "Metric", kind="words"),
            *_EFFECT_COLUMNS,
        ),
        rows=tuple(rows),
        notes=(
            "Ablation minus default, percentage points; measured: mean over the classes, each with the seeds that "
            "both have. p: Wilcoxon's signed-rank test over the classes (paired, two-sided, exact), and after Holm's "
            "correction over all tests of the ablation tables.",
            f"Same or opposite direction: p below {_CHANCE} after the correction, and the published difference is "
            "not 0.",
        ),
    )


def _effect_cells(effect: ComparedEffect | None) -> tuple[Cell | Words, ...]:
    if effect is None:
        return (*(Cell(None) for _ in _EFFECT_COLUMNS[1:]), Words(""))
    test = effect.test
    return (
        Cell(effect.published, source="published", digits=effect.digits, form="signed"),
        Cell(test.difference, form="signed"),
        Cell(test.classes, digits=0),
        Cell(test.ranks.p, form="chance"),
        Cell(test.p_holm, form="chance"),
        Words(effect.verdict),
    )


def _for_programs(column: Column) -> Column:
    return Column(column.key, column.heading, kind=column.kind, csv_only=True)


def _notes(comparison: Comparison, context: TableContext) -> tuple[str, ...]:
    """The data, and what the verdicts mean."""
    assert context.published is not None
    tested = sum(not cell.repeats and cell.p_holm is not None for cell in comparison.cells)
    return (
        data_note(context),
        *doubt_notes(context),
        *departure_notes(_compared(comparison, context), context),
        *left_out_notes(table_experiments("comparison", context), context),
        *_unpublished_notes(context.published, context),
        f"{DAGGER} Published: {published_source(context.published, main_table(context))}.",
        f"Limit: the largest difference that passes a two-sided test at {_CHANCE}: {WELCH} where both numbers have a "
        "std; where one has none (a single seed; a number published without std), it counts as one more run of the "
        f"other's spread ({ONE_VALUE}). What printing rounded off counts in favour of agreement.",
        "Agree: the difference is within the limit. This is no proof of equality: a difference as large as the limit "
        "would go unnoticed.",
        f"Differ: p is below {_CHANCE} also after Holm's correction over all {tested} tested numbers. "
        f"Undecided: only before it (if all were equal, {LEVEL * tested:.1f} would be expected), or no spread is "
        "known.",
        "Each number counts once: the averages of the tables by class and the default's rows of the ablation tables "
        "repeat the tables of averages.",
    )


def _unpublished_notes(collection: str, context: TableContext) -> list[str]:
    """An overlay may name a column that another data set has, and a name may be misspelt: both are said."""
    known = published_methods(collection)
    return [
        f"{heading} is compared with nothing: there is no published column {context.experiments[name].published_as}, "
        f"only {', '.join(known)}."
        for name, heading in context.methods.items()
        if context.experiments[name].published_as not in ("", *known)
    ]


def _compared(comparison: Comparison, context: TableContext) -> list[str]:
    """The experiments whose settings should be the paper's: the methods, and the defaults of the ablation tables."""
    return list(
        dict.fromkeys(
            context.ablations[cell.table].reference if cell.table in context.ablations else cell.experiment
            for cell in comparison.cells
        )
    )
