"""Test samples, their anomaly maps, and one laid over the other (paper figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from multiflow.figures.canvas import BACKGROUND, GREY, Sheet, corner, figure_style, save_figure, title_of
from multiflow.figures.heat import COLORS, color_map, score_norm
from multiflow.foreground import foreground_on_grid
from multiflow.foreground.postprocess import dilate
from multiflow.images import load_image, load_mask
from multiflow.metrics import sample_labels
from multiflow.scores import ScoreFile
from multiflow.store import ForegroundFile

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Chosen", "choose_samples", "plot_anomaly_maps"]

_OUTLINE = "#00E5FF"
_PIXELS = 256
_MARGIN = 0.012  # between the ground truth and its outline, of the picture's side
_CELL, _LARGEST_CELL, _GAP = 1.05, 1.7, 0.04
_BLOCK = 3.4  # a heading needs this width
_LEFT, _TOP, _HEADING, _RIGHT, _BETWEEN = 0.62, 0.34, 0.46, 0.62, 0.16
_ROWS = ("image", "anomaly\nmap", "overlay")


@dataclass(frozen=True)
class Chosen:
    """A sample to draw: why, and its index in the scores file."""

    reason: str
    index: int


def choose_samples(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> list[Chosen]:
    """The anomalous samples with the highest, the median and the lowest score, and the normal one with the median.

    Of an even number the median is the one with the lower score. Fewer are chosen where there are not as many.

    Args:
        labels: of the samples [N].
        scores: of the samples [N].
    """
    chosen = []
    anomalous = np.flatnonzero(labels)[np.argsort(-scores[labels], kind="stable")]
    if len(anomalous) > 0:
        chosen.append(Chosen("Anomalous, highest score (best)", int(anomalous[0])))
    if len(anomalous) > 2:
        chosen.append(Chosen("Anomalous, median score", int(anomalous[len(anomalous) // 2])))
    if len(anomalous) > 1:
        chosen.append(Chosen("Anomalous, lowest score (worst)", int(anomalous[-1])))
    normal = np.flatnonzero(~labels)[np.argsort(-scores[~labels], kind="stable")]
    if len(normal) > 0:
        chosen.append(Chosen("Normal, median score", int(normal[len(normal) // 2])))
    return chosen


@figure_style()
def plot_anomaly_maps(
    class_name: str,
    samples: DataFrame,
    root: Path,
    scores: ScoreFile,
    foreground: ForegroundFile | None,
    *paths: Path,
    run: str,
    sample_score: str,
    to_grid: str,
    ground_truth_threshold: int,
) -> None:
    """Draw some test samples: per view the image with the ground truth outlined, the anomaly map, the overlay.

    All maps share one colour scale, up to the highest score drawn. It begins at the background's score, 0, or,
    where there is none, at the lowest score drawn, and follows the square root: faint spots are seen beside
    bright ones. The background is shown as such.

    Args:
        class_name: for the title.
        samples: the class's samples table.
        root: the data set's folder.
        scores: the scores to draw.
        foreground: the class's masks; None where everything is foreground.
        paths: the files.
        run: experiment and seed, for the title.
        sample_score: ``max`` or ``mean``: the rule by which the samples are chosen.
        to_grid: rule that brought the masks to the feature grid.
        ground_truth_threshold: grey value above which a pixel of a mask file is anomalous.
    """
    sample_values = scores.sample_scores(sample_score)
    chosen = choose_samples(sample_labels(scores.labels), sample_values)
    test = samples[samples["split"] == "test"]
    tables = {str(key): table for key, table in test.groupby("sample", sort=False)}
    cameras = list(dict.fromkeys(test["camera"]))
    maps = {item.index: scores.map(item.index) for item in chosen}
    inside = {
        index: np.ones_like(values, bool)
        if foreground is None
        else foreground_on_grid(foreground.split("test"), index, values.shape[1:], to_grid).astype(bool)
        for index, values in maps.items()
    }
    drawn = np.stack(list(maps.values()))
    lowest = float(drawn.min())
    norm = score_norm(lowest, float(drawn.max()), masked=foreground is not None)

    columns = 2 if len(chosen) > 1 and len(cameras) <= 6 else 1
    rows = -(-len(chosen) // columns)
    cell = min(max(_CELL, _BLOCK / len(cameras) - _GAP), _LARGEST_CELL)
    block_width = max(len(cameras) * (cell + _GAP), _BLOCK)
    block_height = _HEADING + len(_ROWS) * (cell + _GAP) + _BETWEEN
    sheet = Sheet(
        _LEFT + columns * block_width + (columns - 1) * _BETWEEN + _RIGHT,
        _TOP + rows * block_height,
    )
    sheet.text(0.08, 0.08, title_of(class_name), fontsize=11, weight="bold")
    sheet.text(sheet.width - 0.08, 0.1, run, ha="right", color=GREY)
    for number, item in enumerate(chosen):
        left = _LEFT + number % columns * (block_width + _BETWEEN)
        top = _TOP + number // columns * block_height
        key = scores.samples[item.index]
        short = key.removeprefix(class_name).strip("_")
        sheet.text(left, top + 0.06, f"{item.reason}: {sample_values[item.index]:.2f}", fontsize=9)
        sheet.text(left + block_width - _GAP, top + 0.06, short, ha="right", color=GREY)
        y = top + _HEADING
        for view, row in enumerate(tables[key].itertuples()):
            x = left + view * (cell + _GAP)
            sheet.text(x + cell / 2, y - 0.16, cameras[view], ha="center")
            picture = load_image(root / str(row.image), _PIXELS, bool(row.flip))
            values, mask, size = maps[item.index][view], inside[item.index][view], (_PIXELS, _PIXELS)
            column = [sheet.picture_axes(x, y + kind * (cell + _GAP), cell) for kind in range(len(_ROWS))]
            column[0].imshow(picture)
            column[1].imshow(color_map(values, mask, norm, size))
            column[2].imshow(color_map(values, mask, norm, size, picture))
            corner(column[1], f"{scores.image_scores[item.index, view]:.2f}")
            if row.mask:
                _outline(column, load_mask(root / str(row.mask), None, bool(row.flip), ground_truth_threshold))
            if view == 0 and number % columns == 0:
                for axes, name in zip(column, _ROWS, strict=True):
                    axes.text(-0.06, 0.5, name, transform=axes.transAxes, ha="right", va="center")
    left, top, height = sheet.width - _RIGHT + 0.12, _TOP + _HEADING, len(_ROWS) * cell - 0.6
    bar = sheet.axes(left, top, 0.12, height)
    extend = "min" if foreground is not None and lowest < 0 else "neither"
    sheet.figure.colorbar(ScalarMappable(norm, COLORS), cax=bar, extend=extend)
    bar.set_title("score", fontsize=8, loc="left")
    if foreground is not None:
        sheet.picture_axes(left, top + height + 0.2, 0.12).imshow([[to_rgb(BACKGROUND)]])
        sheet.text(left, top + height + 0.36, "back-\nground", fontsize=7)
    save_figure(sheet.figure, *paths)


def _outline(pictures: Sequence[Axes], truth: NDArray[np.uint8]) -> None:
    """Outline the ground truth a little outside of it, so that a thin scratch is not covered by its own outline.

    Args:
        pictures: axes of a view.
        truth: 1 is anomalous, at the resolution of its file [height, width].
    """
    if not truth.any():
        return
    height, width = truth.shape
    margin = max(1, round(_MARGIN * max(height, width)))
    grown = dilate(np.pad(truth, 2 * margin), 2 * margin + 1)
    rows = (np.arange(grown.shape[0]) - 2 * margin + 0.5) * _PIXELS / height - 0.5
    columns = (np.arange(grown.shape[1]) - 2 * margin + 0.5) * _PIXELS / width - 0.5
    for axes in pictures:
        axes.contour(columns, rows, grown, [0.5], colors=_OUTLINE, linewidths=0.7)
        axes.set(xlim=(-0.5, _PIXELS - 0.5), ylim=(_PIXELS - 0.5, -0.5))
