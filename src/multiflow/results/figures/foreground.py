"""The foreground masks over the views, flips applied (paper figure 3): a wrong flip or mask is seen at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from PIL import Image

from multiflow.datasets.images import load_image
from multiflow.results.figures.canvas import GREY, Sheet, corner, figure_style, save_figure
from multiflow.results.figures.subject import Subject

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["plot_foreground"]

_PIXELS = 256
_CELL, _GAP = 1.3, 0.04
_LEFT, _TOP, _RIGHT, _BOTTOM = 1.3, 0.72, 0.08, 0.08
_NARROWEST = 4.8  # the class and what is drawn need this width
_TINT = "#0072B2"
_OUTLINE = "#F0E442"


@figure_style()
def plot_foreground(subject: Subject, *paths: Path) -> None:
    """Draw the views of some samples as the method gets them: mirrored where the flips say so, background tinted.

    The samples are the first and the last of the training set, the first normal and the first anomalous one of
    the test set. On a right table of flips the views of a row are turned copies of one part; on a wrong one a
    text is mirrored, or a feature is on the other side.

    Args:
        subject: the method and the class.
        paths: the files.
    """
    samples = subject.samples
    chosen = _choose(samples)
    cameras = list(dict.fromkeys(samples["camera"]))
    sheet = Sheet(
        max(_LEFT + len(cameras) * (_CELL + _GAP) + _RIGHT, _NARROWEST),
        _TOP + len(chosen) * (_CELL + _GAP) + _BOTTOM,
    )
    sheet.text(0.08, 0.08, subject.class_name, fontsize=11, weight="bold")
    what = "no masks, the whole image counts" if subject.segmentation is None else "background tinted blue"
    sheet.text(sheet.width - _RIGHT - _GAP, 0.1, f"{subject.heading}: {what}", ha="right", color=GREY)
    for row, (reason, split, key) in enumerate(chosen):
        top = _TOP + row * (_CELL + _GAP)
        label = f"{reason}\n{subject.short_name(key)}"
        sheet.text(_LEFT - 0.08, top + _CELL / 2, label, ha="right", va="center")
        table = samples[(samples["split"] == split) & (samples["sample"] == key)]
        masks = subject.masks(split, key)
        for view, image in enumerate(table.itertuples()):
            left = _LEFT + view * (_CELL + _GAP)
            if row == 0:
                flipped = "\nmirrored" if image.flip else "\nas it is"
                sheet.text(left + _CELL / 2, _TOP - 0.06, cameras[view] + flipped, ha="center", va="bottom")
            axes = sheet.picture_axes(left, top, _CELL)
            picture = load_image(subject.root / str(image.image), _PIXELS, bool(image.flip))
            if masks is None:
                axes.imshow(picture)
                continue
            shown = Image.fromarray(masks[view].astype(np.uint8))
            mask = np.asarray(shown.resize((_PIXELS, _PIXELS), Image.Resampling.NEAREST))
            axes.imshow(_tinted(picture, mask))
            if mask.any() and not mask.all():
                axes.contour(mask, [0.5], colors=_OUTLINE, linewidths=0.8)
            corner(axes, f"{100 * masks[view].mean():.0f} %")
    save_figure(sheet.figure, *paths)


def _choose(samples: DataFrame) -> list[tuple[str, str, str]]:
    """What is drawn: a reason, the split and the sample's key."""
    train = samples[samples["split"] == "train"]["sample"]
    test = samples[samples["split"] == "test"].groupby("sample", sort=False)["label"].max()
    chosen = [("training\nset", "train", str(key)) for key in dict.fromkeys([train.iloc[0], train.iloc[-1]])]
    for reason, label in (("test set,\nnormal", 0), ("test set,\nanomalous", 1)):
        chosen += [(reason, "test", str(key)) for key in test.index[test == label][:1]]
    return chosen


def _tinted(picture: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.float64]:
    """A picture whose background is tinted."""
    tinted = 0.45 * picture / 255 + 0.55 * np.asarray(to_rgb(_TINT))
    return np.where(mask[..., None] > 0, picture / 255, tinted)
