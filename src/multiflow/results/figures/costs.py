"""What a better AUROC costs: every method's AUROC against the time of its training and of one sample."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from multiflow.results.costs import RunCost
from multiflow.results.figures.canvas import MARKERS, SERIES, Sheet, figure_style, save_figure, say
from multiflow.results.metric_names import metric_heading
from multiflow.results.tables import Results, TableContext

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["plot_costs"]

_METRIC = "sample_auroc"
_SIZE, _LEFT, _GAP, _TOP, _BOTTOM = 2.9, 0.65, 0.7, 0.5, 0.5
_LINE = 0.16
_NOTHING = "no method has both a time\nand an AUROC here"

Point = tuple[float, float]
"""Seconds and AUROC in percent."""


@figure_style()
def plot_costs(costs: Sequence[RunCost], metrics: DataFrame, context: TableContext, *paths: Path) -> None:
    """Draw the AUROC of samples against seconds of training, and against seconds a sample takes.

    A small dot is a class, the large one a method's mean over its classes, on a logarithmic axis the geometric mean of
    the times. A time that was not noted has no dot.

    Args:
        costs: of the methods' runs.
        metrics: as from :func:`multiflow.results.records.load_metrics`.
        context: the run.
        paths: the files.
    """
    lines = math.ceil(len(context.methods) / 3)
    top = _TOP + lines * _LINE
    sheet = Sheet(_LEFT + 2 * _SIZE + _GAP + 0.15, top + _SIZE + _BOTTOM)
    sheet.text(0.1, 0.1, f"{context.dataset}: {metric_heading(_METRIC)} and time", fontsize=10, weight="bold")
    results = Results(metrics)
    measures: tuple[tuple[str, Callable[[RunCost], float | None]], ...] = (
        ("training of a class, s", lambda cost: None if cost.training is None else cost.training.seconds),
        ("a sample, from pictures to scores, s", lambda cost: cost.sample_seconds),
    )
    for index, (label, seconds) in enumerate(measures):
        axes = sheet.axes(_LEFT + index * (_SIZE + _GAP), top, _SIZE, _SIZE)
        points = [_points(method, costs, seconds, results, context) for method in context.methods]
        _draw_panel(axes, points)
        axes.set(xlabel=label, ylabel=f"{metric_heading(_METRIC)}, %")
    handles = [
        Line2D([], [], linestyle="", label=heading, **_style(index))
        for index, heading in enumerate(context.methods.values())
    ]
    sheet.figure.legend(
        handles=handles, ncols=min(3, len(handles)), loc="upper left", borderaxespad=0, borderpad=0,
        bbox_to_anchor=(0.1 / sheet.width, 1 - 0.38 / sheet.height),
    )  # fmt: skip
    save_figure(sheet.figure, *paths)


def _points(
    method: str,
    costs: Sequence[RunCost],
    seconds: Callable[[RunCost], float | None],
    results: Results,
    context: TableContext,
) -> list[Point]:
    """A point per class that has a time and an AUROC, both means over the seeds."""
    points = []
    for class_name in context.classes_of(method):
        own = [seconds(cost) for cost in costs if (cost.experiment, cost.class_name) == (method, class_name)]
        times = [value for value in own if value]
        auroc = results.of_class(method, _METRIC, class_name).value
        if times and auroc is not None:
            points.append((statistics.fmean(times), auroc))
    return points


def _draw_panel(axes: Axes, methods: Sequence[Sequence[Point]]) -> None:
    if not any(methods):
        say(axes, _NOTHING)
        axes.set_yticks([])
        return
    axes.set_xscale("log")
    for index, points in enumerate(methods):
        if not points:
            continue
        style = _style(index)
        times, values = zip(*points, strict=True)
        axes.plot(times, values, linestyle="", **(style | {"markersize": 3.0, "alpha": 0.4, "markeredgewidth": 0}))
        axes.plot(statistics.geometric_mean(times), statistics.fmean(values), linestyle="", **style)
    drawn = [time for points in methods for time, _ in points]
    axes.set_xlim(min(drawn) / 1.6, max(drawn) * 1.6)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(drawn) < 100 * min(drawn) else (1,)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.grid(visible=True)


def _style(index: int) -> dict[str, Any]:
    """For Matplotlib."""
    return {
        "color": SERIES[index % len(SERIES)], "marker": MARKERS[index % len(MARKERS)], "markersize": 7.0,
        "markeredgecolor": "white", "markeredgewidth": 0.6,
    }  # fmt: skip
