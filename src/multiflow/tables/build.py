"""The seven tables of the paper and the comparison of its section 4.5.2."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from multiflow.published import MULTI_FLOW, published_classes, read_published
from multiflow.tables.ablations import ABLATIONS
from multiflow.tables.aggregate import Results, published_cell
from multiflow.tables.context import TableContext
from multiflow.tables.model import Cell, Column, Row, Table, rank_cells
from multiflow.tables.notes import footnotes

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["TABLES", "class_heading", "make_table", "metric_heading", "table_caption", "table_place"]

_METRICS = {
    "sample_auroc": "Sample-AUROC",
    "image_auroc": "Image-AUROC",
    "pixel_auroc": "Pixel-AUROC",
    "aupro": "AUPRO",
}

_AVERAGES = {
    "table1": ("Average detection results", ("sample_auroc", "image_auroc")),
    "table7": ("Average segmentation results", ("aupro", "pixel_auroc")),
}

_PER_CLASS = {
    "table5": ("Sample-wise detection results per class", "sample_auroc"),
    "table6": ("Image-wise detection results per class", "image_auroc"),
}

TABLES = (*(f"table{number}" for number in range(1, 8)), "background_removal")
"""Names of the tables."""


def metric_heading(metric: str) -> str:
    """A metric's name as printed."""
    rule = metric.removeprefix("sample_auroc_")
    return f"Sample-AUROC ({rule})" if rule != metric else _METRICS.get(metric, metric.replace("_", " "))


def class_heading(class_name: str, context: TableContext) -> str:
    """A class's name as printed."""
    printed = published_classes(context.published) if context.published is not None else {}
    return printed.get(class_name, class_name.replace("_", " "))


def table_caption(name: str) -> str:
    """What a table shows."""
    captions = {key: caption for key, (caption, _) in {**_AVERAGES, **_PER_CLASS}.items()}
    return captions[name] if name in captions else ABLATIONS[name].caption


def table_place(name: str) -> str:
    """Where in the paper a table stands."""
    number = name.removeprefix("table")
    return f"Table {number}" if number != name else "Section 4.5.2"


def make_table(name: int | str, metrics: DataFrame, context: TableContext) -> Table:
    """Make a table of the paper from measured metrics.

    All rows and columns of the paper are there whatever was run; what was never computed stays empty, and
    so does the row of an experiment whose settings are not those that the row names.

    An average is the mean over an experiment's classes per seed, then the mean ± std (n - 1 in the
    denominator) over the seeds that have all classes. Published numbers stand beside only where the
    context names their collection, and published averages only where the run has exactly their classes.

    Args:
        name: 1 to 7, or one of :data:`TABLES`.
        metrics: as from :func:`multiflow.metrics.load_metrics`, columns in any order.
        context: the run.

    Raises:
        ValueError: there is no such table.
    """
    name = f"table{name}" if isinstance(name, int) else name
    results = Results(metrics)
    if name in _AVERAGES:
        table = _average_table(name, results, context)
    elif name in _PER_CLASS:
        table = _class_table(name, results, context)
    elif name in ABLATIONS:
        table = _ablation_table(name, results, context)
    else:
        raise ValueError(f"there is no {name}; the tables are {', '.join(TABLES)}")
    return rank_cells(table)


def _average_table(name: str, results: Results, context: TableContext) -> Table:
    """Tables 1 and 7: a metric per row, a method per column."""
    caption, metrics = _AVERAGES[name]
    published: dict[str, dict[str, Cell]] = {}
    if _averages_comparable(context):
        published = _published_by_method(name, context, "metric")
    rows = tuple(
        Row(
            metric,
            (_METRICS[metric],),
            tuple(column[metric] for column in published.values())
            + tuple(_average(results, method, metric, context) for method in context.methods),
        )
        for metric in metrics
    )
    return Table(
        name=name,
        caption=caption,
        row_key="metric",
        stub=("Metric",),
        columns=_method_columns(list(published), context),
        rows=rows,
        compared="row",
        notes=footnotes(name, rows, tuple(context.methods), metrics, results, context),
    )


def _class_table(name: str, results: Results, context: TableContext) -> Table:
    """Tables 5 and 6: a class per row and their mean, a method per column."""
    caption, metric = _PER_CLASS[name]
    published: dict[str, dict[str, Cell]] = {}
    if context.published is not None:
        published = _published_by_method(name, context, "class")
    nothing = Cell(None, source="published")
    rows = [
        Row(
            class_name,
            (class_heading(class_name, context),),
            tuple(column.get(class_name, nothing) for column in published.values())
            + tuple(results.of_class(method, metric, class_name) for method in context.methods),
        )
        for class_name in context.classes
    ]
    comparable = _averages_comparable(context)
    rows.append(
        Row(
            "average",
            ("Average",),
            tuple(column["average"] if comparable else nothing for column in published.values())
            + tuple(_average(results, method, metric, context) for method in context.methods),
            rule_above=True,
        )
    )
    return Table(
        name=name,
        caption=f"{caption} ({_METRICS[metric]})",
        row_key="class",
        stub=("Class",),
        columns=_method_columns(list(published), context),
        rows=tuple(rows),
        compared="row",
        notes=footnotes(name, tuple(rows), tuple(context.methods), (metric,), results, context),
    )


def _ablation_table(name: str, results: Results, context: TableContext) -> Table:
    """Tables 2 to 4 and section 4.5.2: an experiment per row, a metric per column, then the published."""
    layout = ABLATIONS[name]
    columns = [Column(metric, _METRICS[metric]) for metric in layout.metrics]
    published: dict[tuple[str, ...], dict[str, str]] = {}
    printed: list[str] = []
    if context.published is not None and _averages_comparable(context):
        source = read_published(context.published, name)
        published = {tuple(row[key] for key in layout.keys): row for row in source}
        printed = [metric for metric in layout.metrics if metric in source[0]]
        columns = [Column(metric, _METRICS[metric], "(measured)") for metric in layout.metrics]
        columns += [
            Column(f"{metric}_published", _METRICS[metric], "(published)", published=True) for metric in printed
        ]
    contradictions = {}
    for experiment, row in layout.rows.items():
        known = context.experiments.get(experiment)
        if known is not None and (contradiction := row.contradiction(known)) is not None:
            contradictions[experiment] = contradiction
    rows = tuple(
        Row(
            experiment,
            row.headings,
            tuple(
                Cell(None, n=0) if experiment in contradictions else _average(results, experiment, metric, context)
                for metric in layout.metrics
            )
            + tuple(published_cell(published[row.published][metric]) for metric in printed),
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
        notes=footnotes(name, rows, tuple(layout.rows), layout.metrics, results, context, contradictions),
    )


def _average(results: Results, experiment: str, metric: str, context: TableContext) -> Cell:
    """An experiment's average; one over other classes than the run's is not held against the others."""
    classes = context.classes_of(experiment)
    cell = results.average(experiment, metric, classes)
    return replace(cell, competes=set(classes) == set(context.classes))


def _averages_comparable(context: TableContext) -> bool:
    """Whether published averages are means over the classes of this run."""
    return context.published is not None and set(context.classes) == set(published_classes(context.published))


def _published_by_method(name: str, context: TableContext, key: str) -> dict[str, dict[str, Cell]]:
    """Published cells of a table by method and row."""
    assert context.published is not None
    columns: dict[str, dict[str, Cell]] = {}
    for row in read_published(context.published, name):
        columns.setdefault(row["method"], {})[row[key]] = published_cell(row["mean"], row["std"])
    return columns


def _method_columns(published: list[str], context: TableContext) -> tuple[Column, ...]:
    """Published methods in the paper's order, then the measured ones."""
    columns = [
        Column(f"{method}_published", method, "(published)" if method == MULTI_FLOW else "", published=True)
        for method in published
    ]
    remark = "(measured)" if published else ""
    columns += [Column(experiment, heading, remark) for experiment, heading in context.methods.items()]
    return tuple(columns)
