"""Test samples with their anomaly maps (paper figure 5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from multiflow.figures.canvas import image_grid, label_columns, label_row, save_figure
from multiflow.images import load_image
from multiflow.metrics import sample_labels, upsample
from multiflow.scores import ScoreFile
from multiflow.store import FeatureFile

__all__ = ["plot_anomaly_maps"]

_COLORS = "inferno"


def plot_anomaly_maps(
    class_name: str, samples: pd.DataFrame, root: Path, features: FeatureFile, scores: ScoreFile, path: Path
) -> None:
    """Draw the views of some test samples, the ground truth outlined, and below them their anomaly maps.

    The samples are the anomalous ones with the highest, the median and the lowest sample score, and the normal
    one with the median score. All maps share one colour scale, from 0 to the highest score drawn.

    Args:
        class_name: for the title.
        samples: the class's samples table.
        root: the data set's folder.
        features: the class's features, for the ground truth.
        scores: the scores to draw.
        path: the figure.
    """
    chosen = _choose(sample_labels(scores.labels), scores.sample_scores("max"))
    test = features.split("test")
    tables = dict(iter(samples[samples["split"] == "test"].groupby("sample", sort=False)))
    highest = max(float(scores.map(index).max()) for _, index in chosen)
    norm = Normalize(0.0, max(highest, 1e-6))

    figure, axes = image_grid(2 * len(chosen), len(features.cameras), left=1.3, right=0.8)
    figure.suptitle(class_name.replace("_", " "), fontsize=9, x=0.02, y=0.995, ha="left", va="top")
    label_columns(axes[0], features.cameras)
    for number, (title, index) in enumerate(chosen):
        pictures, maps = axes[2 * number], axes[2 * number + 1]
        key = scores.samples[index]
        label_row(pictures[0], f"{title}\n{key.removeprefix(class_name).strip('_')}")
        label_row(maps[0], f"score {scores.sample_scores('max')[index]:.2f}")
        truth = test.ground_truth(index)
        size = truth.shape[-1]
        heat = upsample(torch.from_numpy(scores.map(index)), size).numpy()
        for view, row in enumerate(tables[key].itertuples()):
            pictures[view].imshow(load_image(root / str(row.image), size, bool(row.flip)))
            maps[view].imshow(heat[view], cmap=_COLORS, norm=norm)
            if truth[view].any():
                pictures[view].contour(truth[view], [0.5], colors="cyan", linewidths=0.8)
                maps[view].contour(truth[view], [0.5], colors="cyan", linewidths=0.6)
    bar = figure.add_axes((0.93, 0.3, 0.012, 0.4))
    figure.colorbar(ScalarMappable(norm, _COLORS), cax=bar)
    bar.tick_params(labelsize=7)
    bar.set_title("score", fontsize=7)
    save_figure(figure, path)


def _choose(labels: NDArray[np.bool_], scores: NDArray[np.float64]) -> list[tuple[str, int]]:
    """Titles and indices of the samples to draw."""
    chosen = []
    anomalous = sorted(np.flatnonzero(labels), key=lambda index: -scores[index])
    if anomalous:
        chosen.append(("highest", anomalous[0]))
    if len(anomalous) > 2:
        chosen += [("median", anomalous[len(anomalous) // 2]), ("lowest", anomalous[-1])]
    normal = sorted(np.flatnonzero(~labels), key=lambda index: scores[index])
    if normal:
        chosen.append(("normal", normal[len(normal) // 2]))
    return [(title, int(index)) for title, index in chosen]
