"""The sheet that all figures are drawn on: a grid of images with labels, and an atomic file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from multiflow.store import atomic_path

__all__ = ["image_grid", "label_columns", "label_row", "save_figure"]

matplotlib.use("Agg")

_INCHES = 1.35


def image_grid(rows: int, columns: int, left: float = 0.9, right: float = 0.1) -> tuple[Figure, list[list[Axes]]]:
    """A figure of ``rows`` times ``columns`` square images without axes; margins in inches."""
    width, height = columns * _INCHES + left + right, rows * _INCHES + 0.35
    figure = Figure(figsize=(width, height), dpi=120)
    axes = figure.subplots(
        rows,
        columns,
        squeeze=False,
        gridspec_kw={
            "left": left / width,
            "right": 1 - right / width,
            "bottom": 0.05 / height,
            "top": 1 - 0.3 / height,
            "wspace": 0.03,
            "hspace": 0.03,
        },
    )
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
        for spine in axis.spines.values():
            spine.set_visible(False)
    return figure, [list(row) for row in axes]


def label_columns(axes: Sequence[Axes], labels: Sequence[str]) -> None:
    """Write a label above each image of a row."""
    for axis, label in zip(axes, labels, strict=True):
        axis.set_title(label, fontsize=8, pad=3)


def label_row(axis: Axes, label: str) -> None:
    """Write a label left of a row."""
    axis.set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center", labelpad=5)


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure; it appears whole or not at all."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:], metadata={"Software": None})
