"""What a method makes of training samples before it learns from them, as it illustrates it itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiflow.methods.contract import Illustration
from multiflow.results.figures.canvas import GREY, Sheet, figure_style, save_figure

__all__ = ["plot_illustration"]

_CELL, _GAP = 1.2, 0.04
_LEFT, _TOP, _RIGHT, _BOTTOM = 1.35, 0.62, 0.08, 0.08


@figure_style()
def plot_illustration(illustration: Illustration, class_name: str, heading: str, *paths: Path) -> None:
    """Draw its rows of pictures.

    Args:
        illustration: what the method gave.
        class_name: the class.
        heading: the method's name in tables.
        paths: the files.
    """
    columns, rows = illustration.columns, illustration.rows
    sheet = Sheet(
        _LEFT + len(columns) * (_CELL + _GAP) + _RIGHT,
        _TOP + len(rows) * (_CELL + _GAP) + _BOTTOM,
    )
    sheet.text(0.08, 0.08, class_name, fontsize=11, weight="bold")
    sheet.text(sheet.width - _RIGHT - _GAP, 0.1, heading, ha="right", color=GREY)
    for column, name in enumerate(columns):
        sheet.text(_LEFT + column * (_CELL + _GAP) + _CELL / 2, _TOP - 0.06, name, ha="center", va="bottom")
    for row, (pictures, note) in enumerate(zip(rows, illustration.notes, strict=True)):
        top = _TOP + row * (_CELL + _GAP)
        sheet.text(_LEFT - 0.08, top + _CELL / 2, note.removeprefix(f"{class_name}_"), ha="right", va="center")
        for column, picture in enumerate(pictures):
            sheet.picture_axes(_LEFT + column * (_CELL + _GAP), top, _CELL).imshow(_coloured(picture))
    save_figure(sheet.figure, *paths)


def _coloured(picture: NDArray[np.generic]) -> NDArray[np.generic]:
    """An RGB picture; black is 0 in a grey one, and white is 255 or 1."""
    shown = picture.astype(np.float32) if picture.dtype == np.bool_ else picture
    return shown if shown.ndim == 3 else np.repeat(shown[..., None], 3, axis=2)
