"""How much of an AUROC is chance: the spread of the seeds beside the interval over the test samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiflow.metrics import CONFIDENCE
from multiflow.results.intervals import Intervals
from multiflow.results.metric_names import metric_heading
from multiflow.results.tables.aggregate import Results
from multiflow.results.tables.context import TableContext, class_heading
from multiflow.results.tables.model import MISSING, Cell, Column, Row, Table, Words
from multiflow.results.tables.notes import data_note, left_out_notes

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["interval_table"]

_METRICS = ("sample_auroc", "image_auroc")
_COLUMNS = (
    Column("metric", "Metric", kind="words"),
    Column("class", "Class", kind="words"),
    Column("method", "Method", kind="words"),
    Column("auroc", "AUROC"),
    Column("low", f"{100 * CONFIDENCE:g} % from", kind="number"),
    Column("high", "to", kind="number"),
)


def interval_table(metrics: DataFrame, intervals: Intervals, context: TableContext) -> Table:
    """A row per metric, class and method: mean and std over the seeds, and the interval over the test samples.

    Args:
        metrics: as from :func:`multiflow.results.records.load_metrics`, columns in any order.
        intervals: as from :func:`multiflow.results.intervals.load_intervals`.
        context: the run.
    """
    results = Results(metrics)
    rows: list[Row] = []
    for metric in _METRICS:
        for class_name in context.classes:
            for method, heading in context.methods.items():
                if class_name not in context.classes_of(method):
                    continue
                low, high = intervals.get((method, class_name, metric)) or (None, None)
                cells = (
                    Words(metric_heading(metric), metric),
                    Words(class_heading(class_name, context), class_name),
                    Words(heading, method),
                    results.of_class(method, metric, class_name),
                    Cell(low),
                    Cell(high),
                )
                rows.append(Row("", (), cells, rule_above=bool(rows) and rows[-1].cells[0] != cells[0]))
    notes = [
        data_note(context),
        *left_out_notes(list(context.methods), context),
        "AUROC: mean ± standard deviation over the seeds, percent: how far another training would move it.",
        f"{100 * CONFIDENCE:g} %: confidence interval of one training, how far other test samples would move it: a "
        "bootstrap (BCa) over samples with all their views, normal and anomalous ones apart; each end is the mean over "
        "the seeds.",
    ]
    if any(cell.value is None for row in rows for cell in row.numbers):
        notes.append(
            f"{MISSING}: no interval where, in one of the seeds, no sample is ranked wrong, or fewer than two are "
            "normal or anomalous: resamples then tell nothing."
        )
    return Table(
        name="auroc_intervals",
        caption="AUROC with the spread of the seeds and the interval over the test samples",
        row_key="",
        stub=(),
        columns=_COLUMNS,
        rows=tuple(rows),
        notes=tuple(notes),
        sortable=bool(rows),
    )
