"""Training curves: the loss of every epoch, class, seed and experiment."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from multiflow.base.errors import InputError
from multiflow.results.figures.canvas import GREY, MEASURED, SERIES, Sheet, figure_style, save_figure

__all__ = ["Curve", "Histories", "load_histories", "plot_training_classes", "plot_training_experiments"]

Curve: TypeAlias = Sequence[tuple[float, float]]
"""Epoch and loss."""

Histories: TypeAlias = Mapping[tuple[str, str, int], Curve]
"""The curve of each training that has one, by experiment, class and seed."""

_WIDTH, _HEIGHT, _LEFT, _GAP = 1.5, 1.0, 0.68, 0.5
_TOP, _HEADING, _BELOW = 0.65, 0.3, 0.5
_COLUMNS = 5
_NOTHING = "no method here has a training curve"


def load_histories(paths: Iterable[Path]) -> Histories:
    """Read the histories ``<experiment>/<class>/seed<seed>.jsonl``, a JSON object a line.

    What a method records is its own affair: lines with a number ``epoch`` and a finite number ``loss`` are a curve,
    others are none, and a history without such a line (a method that only fits, an imported model) is left out.

    Raises:
        InputError: a file is missing or damaged.
    """
    histories = {}
    for path in paths:
        curve: list[tuple[float, float]] = []
        try:
            for line in path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                if not isinstance(record, dict):
                    raise ValueError(f"found {type(record).__name__}")
                epoch, loss = record.get("epoch"), record.get("loss")
                if _number(epoch) and _number(loss):
                    curve.append((epoch, loss))
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{path}: expected a JSON object a line, cannot read it ({reason}); delete it and train again"
            ) from None
        if curve:
            experiment, class_name, name = path.parts[-3:]
            histories[experiment, class_name, int(Path(name).stem.removeprefix("seed"))] = curve
    return histories


@figure_style()
def plot_training_classes(histories: Histories, methods: Mapping[str, str], *paths: Path) -> None:
    """Draw the trainings of the methods, one below the other: a panel per class, a line per seed.

    Args:
        histories: all trainings of the run; a method without one is left out.
        methods: headings by experiment.
        paths: the files.
    """
    drawn = {
        experiment: list(dict.fromkeys(class_name for name, class_name, _ in histories if name == experiment))
        for experiment in methods
    }
    drawn = {experiment: classes for experiment, classes in drawn.items() if classes}
    seeds = sorted({seed for name, _, seed in histories if name in drawn})
    colors = {seed: SERIES[index % len(SERIES)] for index, seed in enumerate(seeds)}
    sheet, panels = _panels(
        "Loss by class and seed",
        {methods[experiment]: classes for experiment, classes in drawn.items()},
    )
    for (experiment, classes), row in zip(drawn.items(), panels, strict=True):
        for class_name, panel in zip(classes, row, strict=True):
            curves = {seed: curve for (*key, seed), curve in histories.items() if key == [experiment, class_name]}
            for seed, curve in sorted(curves.items()):
                _draw(panel, curve, color=colors[seed], linewidth=0.9)
            _limit(panel, list(curves.values()))
    sheet.figure.legend(
        handles=[Line2D([], [], color=colors[seed], linewidth=0.9, label=f"seed {seed}") for seed in seeds],
        ncols=max(len(seeds), 1), loc="upper right", borderaxespad=0,
        bbox_to_anchor=(1 - 0.1 / sheet.width, 1 - 0.12 / sheet.height),
    )  # fmt: skip
    save_figure(sheet.figure, *paths)


@figure_style()
def plot_training_experiments(histories: Histories, *paths: Path) -> None:
    """Draw a panel per experiment: a thin line per class and seed, and the mean of all over the epochs they share.

    Args:
        histories: all trainings of the run.
        paths: the files.
    """
    experiments = list(dict.fromkeys(name for name, _, _ in histories))
    sheet, panels = _panels("Loss by experiment, all classes and seeds", {"": experiments} if experiments else {})
    for name, panel in zip(experiments, itertools.chain(*panels), strict=True):
        curves = [curve for (other, _, _), curve in histories.items() if other == name]
        for curve in curves:
            _draw(panel, curve, color=GREY, linewidth=0.5, alpha=0.5)
        by_epoch = [dict(curve) for curve in curves]
        shared = [epoch for epoch in sorted(by_epoch[0]) if all(epoch in losses for losses in by_epoch)]
        mean = [(epoch, statistics.fmean(losses[epoch] for losses in by_epoch)) for epoch in shared]
        _draw(panel, mean, color=MEASURED, linewidth=1.4)
        _limit(panel, curves)
    save_figure(sheet.figure, *paths)


def _number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _draw(panel: Axes, curve: Curve, **style: Any) -> None:
    """One line; a single epoch is a dot, since a line of one point is not seen."""
    marker = "o" if len(curve) == 1 else None
    panel.plot([epoch for epoch, _ in curve], [loss for _, loss in curve], marker=marker, markersize=3, **style)


def _panels(heading: str, groups: Mapping[str, Sequence[str]]) -> tuple[Sheet, list[list[Axes]]]:
    """A sheet with groups of panels below each other; without a group it says why it is empty.

    Args:
        heading: of the sheet.
        groups: titles of the panels by the group's own heading, which may be empty.

    Returns:
        The sheet, and the panels of each group.
    """
    columns = min(_COLUMNS, max(map(len, groups.values()), default=1))
    rows = {name: math.ceil(len(titles) / columns) for name, titles in groups.items()}
    heights = {name: rows[name] * (_HEIGHT + _BELOW) + (_HEADING if name else 0) for name in groups}
    sheet = Sheet(max(_LEFT + columns * (_WIDTH + _GAP) - _GAP + 0.12, 5.0), _TOP + (sum(heights.values()) or 1.0))
    sheet.text(0.1, 0.1, heading, fontsize=10, weight="bold")
    if not groups:
        sheet.text(sheet.width / 2, sheet.height / 2, _NOTHING, fontsize=9, color=GREY, ha="center", va="center")
    panels: list[list[Axes]] = []
    top = _TOP
    for name, titles in groups.items():
        panels.append([])
        if name:
            sheet.text(0.1, top - 0.1, name, fontsize=9)
        for index, title in enumerate(titles):
            row, column = divmod(index, columns)
            place = top + (_HEADING if name else 0) + row * (_HEIGHT + _BELOW)
            panel = sheet.axes(_LEFT + column * (_WIDTH + _GAP), place, _WIDTH, _HEIGHT)
            panel.set_title(title, fontsize=8, pad=3, loc="left")
            panel.grid(axis="y")
            panel.yaxis.set_major_locator(MaxNLocator(4))
            if index + columns >= len(titles):
                panel.set_xlabel("epoch")
            if column == 0:
                panel.set_ylabel("loss")
            panels[-1].append(panel)
        top += heights[name]
    return sheet, panels


def _limit(panel: Axes, curves: Sequence[Curve]) -> None:
    """Show what happens after the first tenth of the epochs; the steep start may leave the panel at its top."""
    late = [loss for curve in curves for _, loss in curve[len(curve) // 10 :]]
    lowest, highest = min(late), max(late)
    margin = 0.06 * (highest - lowest) or 0.1
    panel.set(
        ylim=(lowest - margin, highest + margin), xlim=(0, max(epoch for curve in curves for epoch, _ in curve) + 1)
    )
