"""What an experiment changes: differences to the main experiment, paired by class, with a confidence interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from multiflow.figures.canvas import ANOMALOUS, GREY, MEASURED, Sheet, figure_style, save_figure, say, title_of
from multiflow.tables import TableContext

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["LEAST_CLASSES", "Interval", "confidence_interval", "paired_differences", "plot_ablations"]

LEAST_CLASSES = 3
"""Classes below which no interval is drawn: of two the t-interval is 9 times as wide as their distance."""

_LEVEL = 0.95
_METRICS = {
    "sample_auroc": "Sample-AUROC",
    "image_auroc": "Image-AUROC",
    "aupro": "AUPRO",
    "pixel_auroc": "Pixel-AUROC",
}
_ROW, _WIDTH, _LEFT, _GAP, _TOP, _BOTTOM = 0.45, 2.1, 2.0, 0.18, 0.85, 0.55


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its confidence interval."""

    mean: float
    lower: float
    upper: float


def paired_differences(metrics: DataFrame, experiment: str, main: str, metric: str) -> dict[str, float]:
    """Difference of an experiment to the main one, per class, in percentage points.

    A class counts with the mean over the seeds that both experiments have of it; it is left out where there is
    no such seed with a defined metric.

    Args:
        metrics: as from :func:`multiflow.metrics.load_metrics`.
        experiment: minus ``main``.
        main: the reference.
        metric: name of the metric.
    """
    chosen = metrics[(metrics["metric"] == metric) & metrics["value"].notna()]
    values: dict[str, dict[tuple[str, int], float]] = {experiment: {}, main: {}}
    for name, class_name, seed, value in zip(
        chosen["experiment"], chosen["class"], chosen["seed"], chosen["value"], strict=True
    ):
        if name in values:
            values[name][class_name, int(seed)] = float(value)
    pairs: dict[str, list[float]] = {}
    for (class_name, seed), value in sorted(values[experiment].items()):
        if (class_name, seed) in values[main]:
            pairs.setdefault(class_name, []).append(100 * (value - values[main][class_name, seed]))
    return {class_name: statistics.fmean(differences) for class_name, differences in pairs.items()}


def confidence_interval(differences: Sequence[float], level: float = _LEVEL) -> Interval | None:
    """Student's t-interval of the mean over classes; None for fewer than :data:`LEAST_CLASSES`."""
    count = len(differences)
    if count < LEAST_CLASSES:
        return None
    from scipy.special import stdtrit

    mean = statistics.fmean(differences)
    half = float(stdtrit(count - 1, (1 + level) / 2)) * statistics.stdev(differences) / math.sqrt(count)
    return Interval(mean, mean - half, mean + half)


@figure_style()
def plot_ablations(metrics: DataFrame, main: str, context: TableContext, *paths: Path) -> None:
    """Draw a panel per metric and a row per experiment: a dot per class, the mean, its confidence interval.

    Args:
        metrics: as from :func:`multiflow.metrics.load_metrics`.
        main: the experiment that the others are held against.
        context: the run: the experiments and what sets them apart.
        paths: the files.
    """
    others = [name for name in context.experiments if name != main]
    rows = max(len(others), 1)
    sheet = Sheet(_LEFT + len(_METRICS) * (_WIDTH + _GAP), _TOP + rows * _ROW + _BOTTOM)
    sheet.text(0.1, 0.1, f"Difference to {title_of(main)}, paired by class", fontsize=10, weight="bold")
    drawn = False
    for index, (metric, label) in enumerate(_METRICS.items()):
        axes = sheet.axes(_LEFT + index * (_WIDTH + _GAP), _TOP, _WIDTH, rows * _ROW)
        axes.set_title(label, pad=4)
        axes.set(ylim=(rows - 0.5, -0.5), xlabel="percentage points")
        axes.set_yticks([])
        if index == 0:
            for row, name in enumerate(others):
                _write_name(axes, row, name, _changes(context, name, main))
        differences = [paired_differences(metrics, name, main, metric) for name in others]
        drawn |= _draw_panel(axes, differences, len(context.classes_of(main)))
    note = f"○ a class   ◆ mean over the classes (n = {len(context.classes_of(main))} unless a row says otherwise)   "
    if drawn:
        note += f"bar: {100 * _LEVEL:.0f} % t-interval over the classes, orange where it does not contain 0"
    else:
        note += f"no confidence interval: it needs at least {LEAST_CLASSES} classes"
    sheet.text(0.1, 0.36, note if others else "The run has no other experiment.", color=GREY)
    save_figure(sheet.figure, *paths)


def _draw_panel(axes: Axes, differences: Sequence[Mapping[str, float]], classes: int) -> bool:
    """One metric; returns whether an interval was drawn."""
    values = [value for row in differences for value in row.values()]
    if not values:
        say(axes, "nothing to compare")
        return False
    axes.grid(axis="x")
    axes.axvline(0, color="black", linewidth=0.8)
    intervals = False
    for row, of_class in enumerate(differences):
        if not of_class:
            axes.text(0, row, " not computed", va="center", fontsize=7, color=GREY)
            continue
        points = sorted(of_class.values())
        axes.plot(
            points, [row + 0.2] * len(points), linestyle="", marker="o", markersize=3, markerfacecolor="none",
            markeredgecolor=GREY, markeredgewidth=0.6, alpha=0.8,
        )  # fmt: skip
        mean, interval, color = statistics.fmean(points), confidence_interval(points), MEASURED
        if interval is not None:
            intervals = True
            if interval.lower > 0 or interval.upper < 0:
                color = ANOMALOUS
            axes.plot([interval.lower, interval.upper], [row - 0.12] * 2, color=color, linewidth=1.6)
            values += [interval.lower, interval.upper]
        axes.plot(mean, row - 0.12, marker="D", markersize=4, color=color)
        if len(points) != classes:
            axes.text(
                1.0, row - 0.12, f"n = {len(points)}", transform=axes.get_yaxis_transform(), ha="right", va="center",
                fontsize=6, color=GREY,
            )  # fmt: skip
    reach = 1.08 * max(max(map(abs, values)), 0.5)
    axes.set_xlim(-reach, reach)
    return intervals


def _changes(context: TableContext, experiment: str, main: str) -> str:
    """The settings in which an experiment differs from the main one, in words."""
    own, reference = context.experiments[experiment], context.experiments[main]
    settings = ("connections", "fusion", "noise", "foreground_method")
    changes = [
        f"{name.replace('_method', '')}: {title_of(getattr(own, name))}"
        for name in settings
        if getattr(own, name) != getattr(reference, name)
    ]
    if own.protocol.epochs != reference.protocol.epochs:
        changes.append(f"{own.protocol.epochs}\N{NO-BREAK SPACE}epochs")
    return fill(", ".join(changes), 34)


def _write_name(axes: Axes, row: int, name: str, changes: str) -> None:
    """An experiment's name, and below it what it changes."""
    place = axes.get_yaxis_transform()
    axes.text(-0.04, row - 0.06, title_of(name), transform=place, ha="right", va="bottom" if changes else "center")
    if changes:
        axes.text(-0.04, row - 0.02, changes, transform=place, ha="right", va="top", fontsize=6.5, color=GREY)
