"""Test samples, their anomaly maps, and one laid over the other (paper figure 5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from multiflow.datasets.images import load_image
from multiflow.foreground.postprocess import dilate
from multiflow.metrics.ranking import sample_labels
from multiflow.metrics.stored import stored_sample_scores
from multiflow.results.figures.canvas import BACKGROUND, GREY, Sheet, corner, figure_style, save_figure
from multiflow.results.figures.heat import COLORS, color_map, score_norm
from multiflow.results.figures.subject import Subject
from multiflow.scores import ScoreFile

__all__ = ["Chosen", "choose_samples", "plot_anomaly_maps"]

_OUTLINE = "#00E5FF"
_PIXELS = 256
_MARGIN = 0.012  # between the ground truth and its outline, of the picture's side
_CELL, _LARGEST_CELL, _GAP = 1.05, 1.7, 0.04
_BLOCK = 4.0  # a heading and a sample's key need this width
_LEFT, _TOP, _HEADING, _RIGHT, _BETWEEN = 0.62, 0.34, 0.46, 0.8, 0.16
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
def plot_anomaly_maps(subject: Subject, seed: int, scores: ScoreFile, *paths: Path) -> None:
    """Draw some test samples: per view the image with the ground truth outlined, the anomaly map, the overlay.

    All maps share one colour scale, from the lowest score of the foreground to the highest drawn, and it follows the
    square root: faint spots are seen beside bright ones. The background is shown as such.

    Args:
        subject: the method and the class.
        seed: of the scores, for the title.
        scores: the scores to draw.
        paths: the files.

    Raises:
        InputError: the scores are of other samples than the ground truth.
    """
    subject.check(scores)
    sample_values = stored_sample_scores(scores, subject.evaluation)
    chosen = choose_samples(sample_labels(subject.truth.labels), sample_values)
    test = subject.samples[subject.samples["split"] == "test"]
    tables = {str(key): table for key, table in test.groupby("sample", sort=False)}
    cameras = list(dict.fromkeys(test["camera"]))
    maps = {item.index: scores.map(item.index) for item in chosen}
    inside = {item.index: subject.inside(scores, item.index) for item in chosen}
    norm = score_norm(np.concatenate([values[inside[index]] for index, values in maps.items()]))
    masked = not all(foreground.all() for foreground in inside.values())

    columns = 2 if len(chosen) > 1 and len(cameras) <= 6 else 1
    rows = -(-len(chosen) // columns)
    cell = min(max(_CELL, _BLOCK / len(cameras) - _GAP), _LARGEST_CELL)
    block_width = max(len(cameras) * (cell + _GAP), _BLOCK)
    block_height = _HEADING + len(_ROWS) * (cell + _GAP) + _BETWEEN
    sheet = Sheet(
        _LEFT + columns * block_width + (columns - 1) * _BETWEEN + _RIGHT,
        _TOP + rows * block_height,
    )
    sheet.text(0.08, 0.08, subject.class_name, fontsize=11, weight="bold")
    sheet.text(sheet.width - 0.08, 0.1, f"{subject.heading}, seed {seed}", ha="right", color=GREY)
    for number, item in enumerate(chosen):
        left = _LEFT + number % columns * (block_width + _BETWEEN)
        top = _TOP + number // columns * block_height
        key = scores.samples[item.index]
        truth = subject.truth.masks(item.index, subject.evaluation.ground_truth_threshold)
        sheet.text(left, top + 0.06, f"{item.reason}: {sample_values[item.index]:.2f}", fontsize=9)
        sheet.text(left + block_width - _GAP, top + 0.06, subject.short_name(key), ha="right", color=GREY)
        y = top + _HEADING
        for view, row in enumerate(tables[key].itertuples()):
            x = left + view * (cell + _GAP)
            sheet.text(x + cell / 2, y - 0.16, cameras[view], ha="center")
            picture = load_image(subject.root / str(row.image), _PIXELS, bool(row.flip))
            values, mask, size = maps[item.index][view], inside[item.index][view], (_PIXELS, _PIXELS)
            column = [sheet.picture_axes(x, y + kind * (cell + _GAP), cell) for kind in range(len(_ROWS))]
            column[0].imshow(picture)
            column[1].imshow(color_map(values, mask, norm, size))
            column[2].imshow(color_map(values, mask, norm, size, picture))
            corner(column[1], f"{scores.image_scores[item.index, view]:.2f}")
            _outline(column, truth[view])
            if view == 0 and number % columns == 0:
                for axes, name in zip(column, _ROWS, strict=True):
                    axes.text(-0.06, 0.5, name, transform=axes.transAxes, ha="right", va="center")
    left, top, height = sheet.width - _RIGHT + 0.12, _TOP + _HEADING, len(_ROWS) * cell - 0.6
    bar = sheet.axes(left, top, 0.12, height)
    sheet.figure.colorbar(ScalarMappable(norm, COLORS), cax=bar)
    bar.set_title("score", fontsize=8, loc="left")
    if masked:
        sheet.picture_axes(left, top + height + 0.2, 0.12).imshow([[to_rgb(BACKGROUND)]])
        sheet.text(left, top + height + 0.36, "back-\nground", fontsize=7)
    save_figure(sheet.figure, *paths)


def _outline(pictures: Sequence[Axes], truth: NDArray[np.uint8]) -> None:
    """Outline the ground truth a little outside of it, so that a thin scratch is not covered by its own outline.

    Args:
        pictures: axes of a view.
        truth: 1 is anomalous [S, S].
    """
    if not truth.any():
        return
    margin = max(1, round(_MARGIN * len(truth)))
    grown = dilate(np.pad(truth, 2 * margin), 2 * margin + 1)
    pixels = (np.arange(len(grown)) - 2 * margin + 0.5) * _PIXELS / len(truth) - 0.5
    for axes in pictures:
        axes.contour(pixels, pixels, grown, [0.5], colors=_OUTLINE, linewidths=0.7)
        axes.set(xlim=(-0.5, _PIXELS - 0.5), ylim=(_PIXELS - 0.5, -0.5))
