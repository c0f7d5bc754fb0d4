"""Dot plots of the metrics per class: measured and, where they may stand beside, published."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from multiflow.figures.canvas import GREY, MEASURED, PUBLISHED, Sheet, figure_style, save_figure, say, title_of
from multiflow.published import MULTI_FLOW, published_classes
from multiflow.tables import Cell, TableContext, make_table
from multiflow.tables.aggregate import Results

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["DETECTION", "SEGMENTATION", "plot_classes", "published_cells"]

DETECTION = {"sample_auroc": "Sample-AUROC, %", "image_auroc": "Image-AUROC, %"}
SEGMENTATION = {"aupro": "AUPRO, %", "pixel_auroc": "Pixel-AUROC, %"}

logger = logging.getLogger(__name__)

_AVERAGE = "average"
_ROW, _WIDTH, _LEFT, _GAP, _TOP, _BOTTOM = 0.21, 2.9, 1.35, 0.25, 0.45, 0.45
_BESIDE = 0.17  # rows between a measured number and the published one


@figure_style()
def plot_classes(
    metrics: DataFrame, experiment: str, labels: Mapping[str, str], context: TableContext, *paths: Path
) -> None:
    """Draw a panel per metric with a row per class: the mean over the seeds, a bar of one std to either side.

    Published numbers are those that the tables show, so they appear under the same conditions.

    Args:
        metrics: as from :func:`multiflow.metrics.load_metrics`.
        experiment: the one that is drawn.
        labels: the metrics of the panels with the names of their axes, :data:`DETECTION` or :data:`SEGMENTATION`.
        context: the run.
        paths: the files.
    """
    classes = context.classes_of(experiment)
    rows = [*classes, _AVERAGE]
    printed = published_classes(context.published) if context.published is not None else {}
    results = Results(metrics)
    published = published_cells(metrics, context)
    sheet = Sheet(_LEFT + len(labels) * (_WIDTH + _GAP), _TOP + len(rows) * _ROW + _BOTTOM)
    sheet.text(0.1, 0.1, context.dataset, fontsize=10, weight="bold")
    for index, (metric, label) in enumerate(labels.items()):
        axes = sheet.axes(_LEFT + index * (_WIDTH + _GAP), _TOP, _WIDTH, len(rows) * _ROW)
        own = {name: results.of_class(experiment, metric, name) for name in classes}
        own[_AVERAGE] = results.average(experiment, metric, classes)
        beside = {name: published[metric, name] for name in rows if (metric, name) in published}
        _draw_panel(axes, rows, own, beside)
        names = [printed.get(name, title_of(name)) for name in classes] + ["Average"]
        axes.set_yticks(range(len(rows)), names if index == 0 else [""] * len(rows))
        axes.set_xlabel(label)
        undefined = [name for name in classes if own[name].value is None]
        if undefined:
            logger.info("%s of %s is undefined for %s: not drawn", metric, experiment, ", ".join(undefined))
    runs = max(results.of_class(experiment, metric, name).n or 0 for metric in labels for name in classes)
    handles = [_handle(MEASURED, "o", f"measured: {title_of(experiment)}, n = {runs}")]
    if any(metric in labels for metric, _ in published):
        handles.append(_handle(PUBLISHED, "D", "published: Multi-Flow, n = 5"))
    sheet.figure.legend(
        handles=handles, ncols=2, loc="upper right", borderaxespad=0,
        bbox_to_anchor=(1 - _GAP / sheet.width, 1 - 0.1 / sheet.height),
    )  # fmt: skip
    save_figure(sheet.figure, *paths)


def published_cells(metrics: DataFrame, context: TableContext) -> dict[tuple[str, str], Cell]:
    """The paper's own numbers by metric and class, the average included, as far as the tables show them."""
    cells = {}
    for name, metric in (("table5", "sample_auroc"), ("table6", "image_auroc"), ("table7", "")):
        table = make_table(name, metrics, context)
        for index, column in enumerate(table.columns):
            if column.key != f"{MULTI_FLOW}_published":
                continue
            for row in table.rows:
                # A row is a class, or, in the table of averages, a metric.
                key = (metric, row.key) if metric else (row.key, _AVERAGE)
                if row.cells[index].value is not None:
                    cells[key] = row.cells[index]
    return cells


def _draw_panel(axes: Axes, rows: list[str], measured: dict[str, Cell], published: dict[str, Cell]) -> None:
    """One metric: a row per class, and one for their average below a line."""
    values = [value for cell in (*measured.values(), *published.values()) for value in _ends(cell)]
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    if not values:
        say(axes, "undefined for every class:\nthe test set lacks what it needs")
        return
    margin = max(0.04 * (max(values) - min(values)), 0.5)
    axes.set_xlim(min(values) - margin, max(values) + margin)
    axes.xaxis.set_major_locator(MaxNLocator(7, steps=[1, 2, 5, 10], integer=True))
    axes.grid(axis="x")
    for row in range(0, len(rows), 2):
        axes.axhspan(row - 0.5, row + 0.5, color="#F5F5F5", linewidth=0, zorder=0)
    axes.axhline(len(rows) - 1.5, color=GREY, linewidth=0.6)
    for index, name in enumerate(rows):
        own, other = measured[name], published.get(name)
        offset = 0.0 if other is None else _BESIDE
        if own.value is None:
            axes.text(
                0.01, index, "undefined", transform=axes.get_yaxis_transform(), va="center", color=GREY, fontsize=7
            )
        else:
            _draw_cell(axes, own, index - offset, MEASURED, "o")
        if other is not None:
            _draw_cell(axes, other, index + offset, PUBLISHED, "D")


def _draw_cell(axes: Axes, cell: Cell, row: float, color: str, marker: str) -> None:
    assert cell.value is not None
    axes.errorbar(
        cell.value, row, xerr=cell.std, color=color, marker=marker, markersize=4.5 if marker == "o" else 3.6,
        markerfacecolor=color if marker == "o" else "white", elinewidth=1.0, capsize=1.8, markeredgewidth=1.0,
    )  # fmt: skip


def _ends(cell: Cell) -> list[float]:
    """The ends of what is drawn for a cell."""
    if cell.value is None:
        return []
    return [cell.value - (cell.std or 0.0), cell.value + (cell.std or 0.0)]


def _handle(color: str, marker: str, label: str) -> Line2D:
    return Line2D(
        [], [], color=color, marker=marker, linestyle="", label=label, markersize=4.5,
        markerfacecolor=color if marker == "o" else "white",
    )  # fmt: skip
