"""Score histograms and ROC curves of a class, at image and at sample level."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from multiflow.metrics.ranking import sample_labels
from multiflow.metrics.stored import stored_sample_scores
from multiflow.results.figures.canvas import ANOMALOUS, GREY, NORMAL, Sheet, figure_style, save_figure, say
from multiflow.results.figures.subject import Subject
from multiflow.scores import ScoreFile

__all__ = ["Roc", "mean_curve", "plot_detection", "roc_curve"]

_Scored: TypeAlias = tuple[NDArray[Any], NDArray[Any]]
"""Labels and scores of one seed."""

_WIDTH, _HEIGHT = 3.1, 2.3
_BINS = 30


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic: the corners of the curve, from (0, 0) to (1, 1)."""

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]

    @property
    def area(self) -> float:
        """Area under the curve."""
        return float(np.trapezoid(self.true_positive_rate, self.false_positive_rate))


def roc_curve(labels: ArrayLike, scores: ArrayLike) -> Roc | None:
    """The exact curve: one corner per different score, so that equal scores count half in the area.

    Args:
        labels: ``[N]``, true or 1 for anomalous.
        scores: ``[N]``, higher is more anomalous.

    Returns:
        The curve, or None where it is undefined: only one of the two classes is there.
    """
    truth, values = np.asarray(labels).astype(bool), np.asarray(scores)
    if truth.all() or not truth.any():
        return None
    order = np.argsort(-values, kind="stable")
    truth, values = truth[order], values[order]
    last = np.append(np.flatnonzero(np.diff(values)), truth.size - 1)
    positives = np.cumsum(truth)[last]
    return Roc(
        np.append(0.0, (last + 1 - positives) / np.count_nonzero(~truth)),
        np.append(0.0, positives / np.count_nonzero(truth)),
    )


def mean_curve(curves: Sequence[Roc]) -> Roc:
    """The mean of the true-positive rates at each false-positive rate; its area is the mean of the areas."""
    rates = np.unique(np.concatenate([curve.false_positive_rate for curve in curves]))
    # Where a curve rises vertically, the mean does, too: it has a value on either side.
    sides = [
        np.mean([np.interp(near, curve.false_positive_rate, curve.true_positive_rate) for curve in curves], axis=0)
        for near in (np.nextafter(rates, -1), np.nextafter(rates, 2))
    ]
    return Roc(np.repeat(rates, 2), np.stack(sides, axis=1).ravel())


@figure_style()
def plot_detection(subject: Subject, scores: Mapping[int, ScoreFile], *paths: Path) -> None:
    """Draw the histogram of the scores and the ROC curves of a class: above of its images, below of its samples.

    The histogram is of all seeds' scores together. There is a thin curve for each seed and, of several seeds, a
    thick one: the mean of the true-positive rates at each false-positive rate.

    Args:
        subject: the method and the class.
        scores: the scores by seed.
        paths: the files.

    Raises:
        InputError: scores are of other samples than the ground truth.
    """
    sheet = Sheet(_WIDTH + _HEIGHT + 1.55, 2 * _HEIGHT + 1.85)
    sheet.text(0.08, 0.08, subject.class_name, fontsize=11, weight="bold")
    seeds = f"{subject.heading}, seed{'s' if len(scores) != 1 else ''} {', '.join(map(str, scores))}"
    sheet.text(sheet.width - 0.12, 0.1, seeds, ha="right", color=GREY)
    labels = subject.truth.labels
    images: list[_Scored] = []
    samples: list[_Scored] = []
    for file in scores.values():
        subject.check(file)
        images.append((labels.ravel(), file.image_scores.ravel()))
        samples.append((sample_labels(labels), stored_sample_scores(file, subject.evaluation)))
    for row, (name, data) in enumerate((("image", images), ("sample", samples))):
        top = 0.65 + row * (_HEIGHT + 0.75)
        _draw_histogram(sheet.axes(0.6, top, _WIDTH, _HEIGHT), name, data)
        _draw_roc(sheet.axes(1.3 + _WIDTH, top, _HEIGHT, _HEIGHT), name, data)
    save_figure(sheet.figure, *paths)


def _draw_histogram(axes: Axes, name: str, data: Sequence[_Scored]) -> None:
    """Scores of all seeds, as shares of the normal and of the anomalous ones."""
    labels = np.concatenate([np.asarray(truth).astype(bool) for truth, _ in data])
    values = np.concatenate([np.asarray(scores, np.float64) for _, scores in data])
    edges = np.histogram_bin_edges(values, _BINS)
    for kind, chosen, color in (("normal", ~labels, NORMAL), ("anomalous", labels, ANOMALOUS)):
        count = int(np.count_nonzero(chosen)) // len(data)
        if count == 0:
            axes.plot([], [], color=color, label=f"{kind}: none")
            continue
        shares = np.histogram(values[chosen], edges)[0] / np.count_nonzero(chosen)
        axes.stairs(100 * shares, edges, color=color, alpha=0.25, fill=True)
        axes.stairs(100 * shares, edges, color=color, linewidth=1.2, label=f"{kind} ({count})")
    axes.set(xlabel=f"{name} score", ylabel=f"share of {name}s, %", xlim=(edges[0], edges[-1]), ylim=(0, None))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)


def _draw_roc(axes: Axes, name: str, data: Sequence[_Scored]) -> None:
    """A thin curve per seed, and their mean."""
    axes.set(xlabel="false-positive rate", ylabel="true-positive rate", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    curves = [curve for curve in (roc_curve(truth, scores) for truth, scores in data) if curve is not None]
    if not curves:
        say(axes, f"undefined: the test set has\nno normal or no anomalous {name}")
        return
    axes.plot([0, 1], [0, 1], color="#BBBBBB", linewidth=0.8, linestyle="--")
    several = len(curves) > 1
    for curve in curves:
        axes.plot(
            curve.false_positive_rate,
            curve.true_positive_rate,
            color=NORMAL,
            linewidth=0.6 if several else 1.6,
            alpha=0.6 if several else 1,
        )
    if several:
        mean = mean_curve(curves)
        axes.plot(mean.false_positive_rate, mean.true_positive_rate, color=NORMAL, linewidth=1.6)
    areas = [100 * curve.area for curve in curves]
    spread = f" ± {statistics.stdev(areas):.2f}" if several else ""
    axes.set_title(f"{name} AUROC {statistics.fmean(areas):.2f}{spread} %", fontsize=8, loc="left")
