"""The tables of a run from its measured metrics and the published numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from multiflow.results.metric_names import metric_heading
from multiflow.results.published import has_published, published_classes, read_published
from multiflow.results.tables.aggregate import Results, published_cell
from multiflow.results.tables.catalog import DEFECT_TYPES, METHOD_TABLES, table_caption
from multiflow.results.tables.context import TableContext, class_heading
from multiflow.results.tables.model import Cell, Column, Row, Table, rank_cells
from multiflow.results.tables.notes import footnotes

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["make_table"]

_NOT_PUBLISHED = Cell(None, source="published")


def make_table(name: int | str, metrics: DataFrame, context: TableContext) -> Table:
    """Make a table from measured metrics.

    All rows and columns are there whatever was run; what was never computed stays empty, and so does the row of
    an experiment whose settings are not those that the row names.

    An average is the mean over an experiment's classes per seed, then the mean ± std (n - 1 in the
    denominator) over the seeds that have all classes; as long as no seed has, it is over the classes that are there,
    and a footnote says so. Published numbers stand beside only where the context names their collection, and
    published averages only where the run has exactly their classes.

    Args:
        name: a number, or a name of :func:`multiflow.results.tables.tables_of`.
        metrics: as from :func:`multiflow.results.records.load_metrics`, columns in any order.
        context: the run.

    Raises:
        ValueError: there is no such table.
    """
    name = f"table{name}" if isinstance(name, int) else name
    caption = table_caption(name, context)
    results = Results(metrics)
    if name == DEFECT_TYPES:
        table = _defect_table(caption, results, context)
    elif name not in METHOD_TABLES:
        table = _ablation_table(name, results, context)
    elif METHOD_TABLES[name].by_class:
        table = _class_table(name, results, context)
    else:
        table = _average_table(name, results, context)
    return rank_cells(table)


def _average_table(name: str, results: Results, context: TableContext) -> Table:
    """A metric per row, a method per column: Tables 1 and 7, and those of further metrics."""
    layout = METHOD_TABLES[name]
    published: dict[str, dict[str, Cell]] = {}
    if _averages_comparable(context):
        published = _published_by_method(name, context, "metric")
    headings = layout.headings or tuple(map(metric_heading, layout.metrics))
    rows = tuple(
        Row(
            metric,
            (heading,),
            tuple(column[metric] for column in published.values())
            + tuple(_average(results, method, metric, context) for method in context.methods),
        )
        for metric, heading in zip(layout.metrics, headings, strict=True)
    )
    return Table(
        name=name,
        caption=layout.caption,
        row_key="metric",
        stub=(layout.stub,),
        columns=_method_columns(list(published), context),
        rows=rows,
        notes=footnotes(name, rows, tuple(context.methods), layout.metrics, results, context),
    )


def _class_table(name: str, results: Results, context: TableContext) -> Table:
    """Tables 5 and 6: a class per row and their mean, a method per column."""
    layout = METHOD_TABLES[name]
    (metric,) = layout.metrics
    published = _published_by_method(name, context, "class")
    rows = [
        Row(
            class_name,
            (class_heading(class_name, context),),
            tuple(column.get(class_name, _NOT_PUBLISHED) for column in published.values())
            + tuple(results.of_class(method, metric, class_name) for method in context.methods),
        )
        for class_name in context.classes
    ]
    comparable = _averages_comparable(context)
    rows.append(
        Row(
            context.average,
            ("Average" if context.average == "average" else "Average over the classes",),
            tuple(column["average"] if comparable else _NOT_PUBLISHED for column in published.values())
            + tuple(_average(results, method, metric, context) for method in context.methods),
            rule_above=True,
        )
    )
    return Table(
        name=name,
        caption=f"{layout.caption} ({metric_heading(metric)})",
        row_key="class",
        stub=("Class",),
        columns=_method_columns(list(published), context),
        rows=tuple(rows),
        notes=footnotes(name, tuple(rows), tuple(context.methods), layout.metrics, results, context),
        sortable=True,
    )


def _defect_table(caption: str, results: Results, context: TableContext) -> Table:
    """A defect type per row; per method its sample and image AUROC, averages over the classes that have the type."""
    metrics = ("sample_auroc", "image_auroc")
    types = sorted({metric.partition(":")[2] for metric in results.metrics} - {""})
    classes = {
        name: tuple(
            class_name
            for class_name in context.classes
            if any(class_name in results.classes_with(f"{metric}:{name}") for metric in metrics)
        )
        for name in types
    }
    rows = tuple(
        Row(
            name,
            (name, str(len(classes[name]))),
            tuple(
                _average(results, method, f"{metric}:{name}", context, classes[name])
                for method in context.methods
                for metric in metrics
            ),
        )
        for name in types
    )
    columns = tuple(
        Column(f"{method}_{metric}", metric_heading(metric), f"({heading})", group=metric)
        for method, heading in context.methods.items()
        for metric in metrics
    )
    return Table(
        name=DEFECT_TYPES,
        caption=caption,
        row_key="defect_type",
        stub=("Defect type", "Classes"),
        columns=columns,
        rows=rows,
        notes=(
            *footnotes(DEFECT_TYPES, rows, tuple(context.methods), metrics, results, context),
            "The samples, or images, with a defect of the type against all that are good.",
        ),
        sortable=True,
    )


def _ablation_table(name: str, results: Results, context: TableContext) -> Table:
    """An experiment per row, a metric per column, then the published numbers."""
    layout = context.ablations[name]
    columns = [Column(metric, metric_heading(metric)) for metric in layout.metrics]
    published: dict[tuple[str, ...] | None, dict[str, str]] = {}
    printed: list[str] = []
    if _averages_comparable(context) and has_published(context.published, name):
        assert context.published is not None
        source = read_published(context.published, name)
        published = {tuple(row[key] for key in layout.keys): row for row in source}
        printed = [metric for metric in layout.metrics if metric in source[0]]
        columns = [Column(metric, metric_heading(metric), "(measured)") for metric in layout.metrics]
        columns += [
            Column(f"{metric}_published", metric_heading(metric), "(published)", published=True) for metric in printed
        ]
    contradictions = context.contradictions(name)
    rows = tuple(
        Row(
            experiment,
            row.headings,
            tuple(
                Cell(None, n=0) if experiment in contradictions else _average(results, experiment, metric, context)
                for metric in layout.metrics
            )
            + tuple(published_cell(published.get(row.published, {}).get(metric, "")) for metric in printed),
        )
        for experiment, row in layout.rows.items()
    )
    return Table(
        name=name,
        caption=layout.caption,
        row_key="experiment",
        stub=layout.stub,
        columns=tuple(columns),
        rows=rows,
        compared="column",
        notes=footnotes(name, rows, tuple(layout.rows), layout.metrics, results, context),
    )


def _average(
    results: Results, experiment: str, metric: str, context: TableContext, among: tuple[str, ...] | None = None
) -> Cell:
    """An experiment's average; one over other classes than the run's, or those given, is not held against others."""
    among = context.classes if among is None else among
    classes = [name for name in context.classes_of(experiment) if name in among]
    cell = results.average(experiment, metric, classes)
    return replace(cell, competes=cell.competes and set(classes) == set(among))


def _averages_comparable(context: TableContext) -> bool:
    """Whether published averages are means over the classes of this run."""
    return context.published is not None and set(context.classes) == set(published_classes(context.published))


def _published_by_method(name: str, context: TableContext, key: str) -> dict[str, dict[str, Cell]]:
    """Published cells of a table by method and row; none where nothing was published."""
    columns: dict[str, dict[str, Cell]] = {}
    if context.published is not None and has_published(context.published, name):
        for row in read_published(context.published, name):
            columns.setdefault(row["method"], {})[row[key]] = published_cell(row["mean"], row["std"])
    return columns


def _method_columns(published: list[str], context: TableContext) -> tuple[Column, ...]:
    """Published methods in the paper's order, then the measured ones."""
    measured = {context.experiments[name].published_heading for name in context.methods if name in context.experiments}
    measured |= set(context.methods.values())
    columns = [
        Column(f"{method}_published", method, "(published)" if method in measured else "", published=True)
        for method in published
    ]
    remark = "(measured)" if published else ""
    columns += [Column(experiment, heading, remark) for experiment, heading in context.methods.items()]
    return tuple(columns)
