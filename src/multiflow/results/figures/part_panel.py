"""One inspected part: its views, their anomaly maps, and one laid over the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from numpy.typing import NDArray
from PIL import Image

from multiflow.base.files import atomic_path
from multiflow.datasets.images import image_array
from multiflow.results.figures.canvas import BACKGROUND, GREY, Sheet, corner, figure_style, save_figure
from multiflow.results.figures.heat import COLORS, color_map, score_norm

__all__ = ["PartView", "draw_part", "part_norm", "write_overlay"]

_CELL, _GAP = 1.7, 0.05
_LEFT, _TOP, _RIGHT = 0.7, 0.75, 0.9
_NARROWEST = 5.8  # the note needs this width
_ROWS = ("image", "anomaly\nmap", "overlay")
_SHOWN = 512  # px, on the panel
_LARGEST = 1024  # px, of a picture of its own


@dataclass(frozen=True)
class PartView:
    """One view, in the orientation of its photograph.

    Args:
        camera: its name.
        picture: as photographed.
        values: anomaly map [h, w].
        inside: foreground [h, w].
        score: image score.
    """

    camera: str
    picture: Image.Image
    values: NDArray[np.float32]
    inside: NDArray[np.bool_]
    score: float

    def shown(self, largest: int) -> NDArray[np.uint8]:
        """RGB, reduced to this many pixels on its longer side."""
        factor = min(1.0, largest / max(self.picture.size))
        width, height = (max(1, round(side * factor)) for side in self.picture.size)
        return image_array(self.picture.resize((width, height), Image.Resampling.BILINEAR))


def part_norm(views: Sequence[PartView], others: Sequence[float]) -> Normalize:
    """The colour scale of all figures: from the lowest score in the foreground of these views to their highest.

    Args:
        views: all that are drawn.
        others: scores of other maps of the same model; the scale ends at the highest of them, if that is higher.
    """
    return score_norm(np.concatenate([view.values[view.inside] for view in views]), others)


def _masked(views: Sequence[PartView]) -> bool:
    """Whether a view has background."""
    return not all(view.inside.all() for view in views)


@figure_style()
def draw_part(views: Sequence[PartView], norm: Normalize, title: str, note: str, path: Path) -> None:
    """Draw a part's views, a column each: photograph, anomaly map, overlay; all maps share one colour scale.

    Args:
        views: the views, in the method's order.
        norm: the colour scale.
        title: in bold, above.
        note: in grey, below the title.
        path: the PNG.
    """
    width = len(views) * (_CELL + _GAP) - _GAP
    cell = _CELL * max(view.picture.height / view.picture.width for view in views)
    height = len(_ROWS) * (cell + _GAP) - _GAP
    sheet = Sheet(max(_LEFT + width + _RIGHT, _NARROWEST), _TOP + height + 0.1)
    sheet.text(0.1, 0.1, title, fontsize=11, weight="bold")
    sheet.text(0.1, 0.33, note, color=GREY)
    for column, view in enumerate(views):
        left = _LEFT + column * (_CELL + _GAP)
        sheet.text(left + _CELL / 2, _TOP - 0.17, view.camera, ha="center")
        picture = view.shown(_SHOWN)
        size = picture.shape[1], picture.shape[0]
        images: list[NDArray[Any]] = [
            picture,
            color_map(view.values, view.inside, norm, size),
            color_map(view.values, view.inside, norm, size, picture),
        ]
        for row, image in enumerate(images):
            axes = sheet.axes(left, _TOP + row * (cell + _GAP), _CELL, cell)
            axes.set_axis_off()
            axes.imshow(image)
            if column == 0:
                axes.text(-0.06, 0.5, _ROWS[row], transform=axes.transAxes, ha="right", va="center", fontsize=8)
            if row == 1:
                corner(axes, f"{view.score:.2f}")
    bar = sheet.axes(_LEFT + width + 0.15, _TOP, 0.14, height - 0.5)
    sheet.figure.colorbar(ScalarMappable(norm, COLORS), cax=bar)
    bar.set_title("score", fontsize=8, loc="left")
    if _masked(views):
        left, top = _LEFT + width + 0.15, _TOP + height - 0.36
        sheet.picture_axes(left, top, 0.14).imshow([[to_rgb(BACKGROUND)]])
        sheet.text(left, top + 0.16, "background", fontsize=6.5)
    save_figure(sheet.figure, path)


def write_overlay(view: PartView, norm: Normalize, path: Path) -> None:
    """Write a view's anomaly map over its photograph, in grey, at the photograph's size up to 1024 px."""
    picture = view.shown(_LARGEST)
    colored = color_map(view.values, view.inside, norm, (picture.shape[1], picture.shape[0]), picture)
    with atomic_path(path) as temporary:
        Image.fromarray((255 * colored).round().astype(np.uint8)).save(temporary, format="PNG")
