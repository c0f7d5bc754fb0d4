"""Training curves: the loss of every epoch, class, seed and experiment."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from multiflow.errors import InputError
from multiflow.figures.canvas import GREY, MEASURED, Sheet, figure_style, save_figure, title_of

__all__ = ["Histories", "load_histories", "plot_training"]

Histories: TypeAlias = Mapping[tuple[str, str, int], Sequence[float]]
"""The loss of each epoch by experiment, class and seed."""

_WIDTH, _HEIGHT, _LEFT, _GAP = 1.5, 1.0, 0.68, 0.5
_COLUMNS = 5
# Okabe and Ito's colours without yellow, which is faint as a line.
_SEED_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")


def load_histories(paths: Iterable[Path]) -> Histories:
    """Read ``<experiment>/<class>/seed<seed>.jsonl``, a JSON object with ``epoch`` and ``loss`` a line.

    Raises:
        InputError: a file is missing or damaged, or holds another epoch than the next.
    """
    histories = {}
    for path in paths:
        losses: list[float] = []
        try:
            for line in path.read_text(encoding="utf-8").splitlines():
                record = json.loads(line)
                if record["epoch"] != len(losses) + 1:
                    raise ValueError(f"epoch {record['epoch']} after {len(losses)}")
                losses.append(float(record["loss"]))
            if not losses:
                raise ValueError("it is empty")
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{path}: expected a JSON object with epoch and loss a line, from epoch 1 on, cannot read it "
                f"({reason}); delete it and train again"
            ) from None
        experiment, class_name, name = path.parts[-3:]
        histories[experiment, class_name, int(Path(name).stem.removeprefix("seed"))] = losses
    return histories


@figure_style()
def plot_training(
    histories: Histories, experiment: str, by_class: Sequence[Path], by_experiment: Sequence[Path]
) -> None:
    """Draw two sheets: a panel per class with the seeds of one experiment, and a panel per experiment.

    Args:
        histories: all trainings of the run.
        experiment: the one that is drawn by class.
        by_class: files of the first sheet.
        by_experiment: files of the second: a thin line per class and seed, and the mean over all.
    """
    own = [(class_name, seed) for name, class_name, seed in histories if name == experiment]
    seeds = sorted({seed for _, seed in own})
    classes = list(dict.fromkeys(class_name for class_name, _ in own))
    sheet, panels = _panels([title_of(name) for name in classes], f"{title_of(experiment)}: loss by class and seed")
    for panel, class_name in zip(panels, classes, strict=True):
        for index, seed in enumerate(seeds):
            losses = histories.get((experiment, class_name, seed), [])
            color = _SEED_COLORS[index % len(_SEED_COLORS)]
            panel.plot(range(1, len(losses) + 1), losses, color=color, linewidth=0.9, label=f"seed {seed}")
        _limit(panel, [losses for key, losses in histories.items() if key[:2] == (experiment, class_name)])
    handles, labels = panels[0].get_legend_handles_labels()
    sheet.figure.legend(
        handles, labels, ncols=len(seeds), loc="upper right", borderaxespad=0,
        bbox_to_anchor=(1 - 0.1 / sheet.width, 1 - 0.12 / sheet.height),
    )  # fmt: skip
    save_figure(sheet.figure, *by_class)

    experiments = list(dict.fromkeys(name for name, _, _ in histories))
    sheet, panels = _panels([title_of(name) for name in experiments], "Loss by experiment, all classes and seeds")
    for panel, name in zip(panels, experiments, strict=True):
        curves = [losses for (other, _, _), losses in histories.items() if other == name]
        for losses in curves:
            panel.plot(range(1, len(losses) + 1), losses, color=GREY, linewidth=0.5, alpha=0.5)
        epochs = min(map(len, curves))
        mean = np.mean([losses[:epochs] for losses in curves], axis=0)
        panel.plot(range(1, epochs + 1), mean, color=MEASURED, linewidth=1.4)
        _limit(panel, curves)
    save_figure(sheet.figure, *by_experiment)


def _panels(titles: Sequence[str], heading: str) -> tuple[Sheet, list[Axes]]:
    """A sheet with a panel per title."""
    columns = min(_COLUMNS, len(titles))
    rows = math.ceil(len(titles) / columns)
    sheet = Sheet(max(_LEFT + columns * (_WIDTH + _GAP) - _GAP + 0.12, 5.0), 0.65 + rows * (_HEIGHT + 0.5))
    sheet.text(0.1, 0.1, heading, fontsize=10, weight="bold")
    panels = []
    for index, title in enumerate(titles):
        left, top = _LEFT + index % columns * (_WIDTH + _GAP), 0.6 + index // columns * (_HEIGHT + 0.5)
        panel = sheet.axes(left, top, _WIDTH, _HEIGHT)
        panel.set_title(title, fontsize=8, pad=3, loc="left")
        panel.grid(axis="y")
        panel.yaxis.set_major_locator(MaxNLocator(4))
        if index + columns >= len(titles):
            panel.set_xlabel("epoch")
        if index % columns == 0:
            panel.set_ylabel("loss")
        panels.append(panel)
    return sheet, panels


def _limit(panel: Axes, curves: Sequence[Sequence[float]]) -> None:
    """Show what happens after the first tenth of the epochs; the steep start may leave the panel at its top."""
    late = [loss for losses in curves for loss in losses[len(losses) // 10 :]]
    lowest, highest = min(late), max(late)
    margin = 0.06 * (highest - lowest) or 0.1
    panel.set(ylim=(lowest - margin, highest + margin), xlim=(0, max(map(len, curves)) + 1))
