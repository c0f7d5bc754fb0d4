"""Dot plots of the metrics per class: measured and, where they may stand beside, published."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from multiflow.results.figures.canvas import GREY, MARKERS, PUBLISHED, SERIES, Sheet, figure_style, save_figure, say
from multiflow.results.intervals import Intervals
from multiflow.results.tables import Cell, Results, TableContext, class_heading, make_table, metric_heading
from multiflow.results.tables.catalog import method_tables

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["DETECTION", "SEGMENTATION", "plot_classes", "published_cells"]

DETECTION = ("sample_auroc", "image_auroc")
SEGMENTATION = ("aupro", "pixel_auroc")

logger = logging.getLogger(__name__)

_ROW, _WIDTH, _LEFT, _GAP, _TOP, _BOTTOM = 0.21, 2.9, 1.35, 0.25, 0.45, 0.45
_BETWEEN = 0.085  # inches between the dots of a row
_COLORS = tuple(color for color in SERIES if color != PUBLISHED)


@dataclass(frozen=True)
class _Series:
    """What has one colour and marker: a method's cells by metric and row, measured, or published and hollow.

    Intervals are over the test samples.
    """

    label: str
    color: str
    marker: str
    cells: Mapping[tuple[str, str], Cell]
    hollow: bool = False
    intervals: Mapping[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    @property
    def style(self) -> dict[str, Any]:
        """For Matplotlib."""
        return {
            "color": self.color, "marker": self.marker, "markersize": 3.8 if self.hollow else 4.5,
            "markerfacecolor": "white" if self.hollow else self.color, "markeredgewidth": 1.0,
        }  # fmt: skip


@figure_style()
def plot_classes(
    metrics: DataFrame, names: Sequence[str], context: TableContext, *paths: Path, intervals: Intervals | None = None
) -> None:
    """Draw a panel per metric with a row per class: the mean over the seeds, a bar of one std to either side.

    Behind it, where there is one, a broad pale bar is the confidence interval over the test samples.

    The methods are those of the tables, in a colour and marker each. What was published of them has the same marker,
    hollow; it is there under the conditions under which the tables show it.

    Args:
        metrics: as from :func:`multiflow.results.records.load_metrics`.
        names: the metrics of the panels, :data:`DETECTION` or :data:`SEGMENTATION`.
        context: the run.
        paths: the files.
        intervals: as from :func:`multiflow.results.intervals.load_intervals`.
    """
    shown = {name for method in context.methods for name in context.classes_of(method)}
    classes = [name for name in context.classes if name in shown]
    rows = [*classes, context.average]
    series = _series(metrics, names, classes, context, intervals or {})
    row = max(_ROW, (len(series) + 0.6) * _BETWEEN)
    # The legend is at the right of the heading, or, where it does not fit there, below.
    columns = min(len(series), 2 if len(names) > 1 else 1)
    top = _TOP + 0.16 * (math.ceil(len(series) / columns) - 1)
    sheet = Sheet(_LEFT + len(names) * (_WIDTH + _GAP), top + len(rows) * row + _BOTTOM)
    sheet.text(0.1, 0.1, context.dataset, fontsize=10, weight="bold")
    for index, metric in enumerate(names):
        axes = sheet.axes(_LEFT + index * (_WIDTH + _GAP), top, _WIDTH, len(rows) * row)
        _draw_panel(axes, metric, rows, series, _BETWEEN / row)
        headings = [class_heading(name, context) for name in classes] + ["Average"]
        axes.set_yticks(range(len(rows)), headings if index == 0 else [""] * len(rows))
        axes.set_xlabel(f"{metric_heading(metric)}, %")
    sheet.figure.legend(
        handles=[Line2D([], [], linestyle="", label=item.label, **item.style) for item in series],
        ncols=columns, loc="upper right", borderaxespad=0,
        bbox_to_anchor=(1 - _GAP / sheet.width, 1 - 0.1 / sheet.height),
    )  # fmt: skip
    save_figure(sheet.figure, *paths)


def _series(
    metrics: DataFrame, names: Sequence[str], classes: Sequence[str], context: TableContext, intervals: Intervals
) -> list[_Series]:
    """The methods of the tables, then what was published of them."""
    results = Results(metrics)
    series = []
    for index, (experiment, heading) in enumerate(context.methods.items()):
        own = [name for name in classes if name in context.classes_of(experiment)]
        cells = {(metric, name): results.of_class(experiment, metric, name) for metric in names for name in own}
        for metric in names:
            undefined = [name for name in own if cells[metric, name].value is None]
            if undefined:
                logger.info("%s of %s has no value for %s: not drawn", metric, experiment, ", ".join(undefined))
        label = f"{heading}, n = {max(cell.n or 0 for cell in cells.values())}"
        if len(own) < len(classes):
            label += f", {len(own)} of {len(classes)} classes"
        else:
            averages = {(metric, context.average): results.average(experiment, metric, own) for metric in names}
            # A mean over other classes is not held against the others'.
            cells |= {key: cell for key, cell in averages.items() if cell.competes}
        color, marker = _COLORS[index % len(_COLORS)], MARKERS[index % len(MARKERS)]
        found = {(metric, name): intervals.get((experiment, name, metric)) for metric, name in cells}
        known = {key: ends for key, ends in found.items() if ends is not None}
        series.append(_Series(label, color, marker, cells, intervals=known))
    published = published_cells(metrics, context)
    first: dict[str, _Series] = {}
    for heading, item in zip(_headings(context), series, strict=True):
        first.setdefault(heading, item)  # experiments with one method share its published numbers
    for heading, method in first.items():
        shown = {key: cell for key, cell in published.get(heading, {}).items() if key[0] in names}
        if shown:
            runs = max(cell.n or 0 for cell in shown.values())
            label = f"published: {heading}{f', n = {runs}' if runs else ''}"
            series.append(_Series(label, PUBLISHED, method.marker, shown, hollow=True))
    return series


def published_cells(metrics: DataFrame, context: TableContext) -> dict[str, dict[tuple[str, str], Cell]]:
    """What was published of the run's own methods, as far as the tables show it.

    Returns:
        By the method's heading: cells by metric and class, the average included.
    """
    found: dict[str, dict[tuple[str, str], Cell]] = {}
    for name, layout in method_tables(context.published).items():
        table = make_table(name, metrics, context)
        for index, column in enumerate(table.columns):
            if not column.published or column.heading not in _headings(context):
                continue
            for row in table.rows:
                cell = row.cells[index]
                if isinstance(cell, Cell) and cell.value is not None:
                    key = (layout.metrics[0], row.key) if layout.by_class else (row.key, context.average)
                    found.setdefault(column.heading, {})[key] = cell
    return found


def _headings(context: TableContext) -> list[str]:
    """Names of the run's methods as they were published, in the order of the tables."""
    return [
        context.experiments[experiment].published_heading if experiment in context.experiments else heading
        for experiment, heading in context.methods.items()
    ]


def _draw_panel(axes: Axes, metric: str, rows: Sequence[str], series: Sequence[_Series], step: float) -> None:
    """One metric: a row per class, and one for their average below a line; ``step`` rows lie between two series."""
    found = [item.cells[metric, name] for item in series for name in rows if (metric, name) in item.cells]
    values = [end for cell in found for end in _ends(cell)]
    values += [end for item in series for (name, _), ends in item.intervals.items() if name == metric for end in ends]
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    if not values:
        say(axes, "no value for any class: not computed,\nor the test set lacks what it needs")
        return
    margin = max(0.04 * (max(values) - min(values)), 0.5)
    axes.set_xlim(min(values) - margin, max(values) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
    axes.grid(axis="x")
    for row in range(0, len(rows), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#F5F5F5", linewidth=0, zorder=0)
    axes.axhline(len(rows) - 1.5, color=GREY, linewidth=0.6)
    for row, name in enumerate(rows):
        cells = [item.cells.get((metric, name), Cell(None)) for item in series]
        for place, (item, cell) in enumerate(zip(series, cells, strict=True)):
            y = row + step * (place - (len(series) - 1) / 2)
            if ends := item.intervals.get((metric, name)):
                axes.plot(ends, [y, y], color=item.color, alpha=0.25, linewidth=3.5, solid_capstyle="butt")
            if cell.value is not None:
                axes.errorbar(cell.value, y, xerr=cell.std, elinewidth=1.0, capsize=1.8, **item.style)
        if all(cell.value is None for cell in cells):
            axes.text(0.01, row, "no value", transform=axes.get_yaxis_transform(), va="center", color=GREY, fontsize=7)


def _ends(cell: Cell) -> list[float]:
    """The ends of what is drawn for a cell."""
    if cell.value is None:
        return []
    return [cell.value - (cell.std or 0.0), cell.value + (cell.std or 0.0)]
