"""One sample of each class with its flips applied: a wrong flip is seen at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from multiflow.figures.canvas import image_grid, label_columns, label_row, save_figure
from multiflow.images import load_image

__all__ = ["plot_views"]

_PIXELS = 256


def plot_views(samples: Mapping[str, pd.DataFrame], root: Path, path: Path) -> None:
    """Draw the first training sample of each class, a row a class, a column a camera.

    Views that the table of flips mirrors carry the mark "flipped". On a right table the views of a row are
    turned copies of one part; on a wrong one a text is mirrored, or a feature is on the other side.

    Args:
        samples: the samples table of each class (:func:`multiflow.samples.load_samples`).
        root: the data set's folder.
        path: the figure.
    """
    cameras = list(dict.fromkeys(next(iter(samples.values()))["camera"]))
    figure, axes = image_grid(len(samples), len(cameras), left=1.1)
    label_columns(axes[0], cameras)
    for row, (class_name, table) in zip(axes, samples.items(), strict=True):
        train = table[table["split"] == "train"]
        sample = train[train["sample"] == train["sample"].iloc[0]]
        label_row(row[0], class_name.replace("_", "\n"))
        for axis, view in zip(row, sample.itertuples(), strict=True):
            axis.imshow(load_image(root / str(view.image), _PIXELS, bool(view.flip)))
            if view.flip:
                axis.text(
                    0.03, 0.03, "flipped", transform=axis.transAxes, fontsize=7, color="white",
                    bbox={"facecolor": "black", "alpha": 0.6, "pad": 1.5, "linewidth": 0},
                )  # fmt: skip
    save_figure(figure, path)
