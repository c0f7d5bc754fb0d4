"""What all figures share: one style, sizes in inches, and files that appear whole and are the same every time."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from multiflow.base.files import atomic_path
from multiflow.results.figures.fonts import use_other_fonts

__all__ = [
    "ANOMALOUS",
    "BACKGROUND",
    "BETTER",
    "GREY",
    "MARKERS",
    "MEASURED",
    "NORMAL",
    "PUBLISHED",
    "SERIES",
    "WORSE",
    "Sheet",
    "corner",
    "figure_style",
    "save_figure",
    "say",
    "text_width",
]  # fmt: skip

logger = logging.getLogger(__name__)

# The colour-blind safe palette of Okabe and Ito.
NORMAL = MEASURED = "#0072B2"
ANOMALOUS = PUBLISHED = WORSE = "#D55E00"
BETTER = "#009E73"
SERIES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Colours of lines that are told apart by them; yellow is missing, which is faint as a line."""
MARKERS = ("o", "s", "^", "v", "P", "X", "D")
"""What tells series of dots apart, beside their colour."""
GREY = "#666666"
BACKGROUND = "#D4D4D4"
"""What is masked out; none of the colours that stand for a score."""

_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # texts can be searched
    "text.parse_math": False,  # a name with dollars is printed as typed
}
_DPI = 130  # a report holds two sheets of pictures per class; this is 1.5 MB for both


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in this project's style, whatever the user's own settings of Matplotlib are; also a decorator."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        # Said once a file, see save_figure, and not at each measuring of a text.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


class Sheet:
    """A figure on which axes are placed in inches from its upper left corner.

    Args:
        width: inches.
        height: inches.
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height), dpi=_DPI)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes of this size at this place."""
        place = (
            left / self.width,
            1 - (top + height) / self.height,
            width / self.width,
            height / self.height,
        )
        return self.figure.add_axes(place)

    def picture_axes(self, left: float, top: float, size: float) -> Axes:
        """A square for a picture: no ticks, no frame."""
        axes = self.axes(left, top, size, size)
        axes.set_axis_off()
        return axes

    def text(self, left: float, top: float, text: str, **style: Any) -> None:
        """Write a text whose upper left corner is here; ``style`` as for Matplotlib's texts."""
        self.figure.text(left / self.width, 1 - top / self.height, text, **({"ha": "left", "va": "top"} | style))


def text_width(text: str) -> float:
    """Inches of a line of text in the style's own size, inside of :func:`figure_style`."""
    drawn = TextPath((0, 0), text, size=matplotlib.rcParams["font.size"], prop=FontProperties())
    return float(drawn.get_extents().width) / 72


def say(axes: Axes, text: str) -> None:
    """Write in empty axes why nothing is drawn."""
    axes.set_xticks([])
    axes.text(0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=8, color=GREY)


def corner(axes: Axes, text: str) -> None:
    """Write a short text into the lower left corner of a picture."""
    axes.text(
        0.03, 0.035, text, transform=axes.transAxes, fontsize=6.5, color="white",
        bbox={"facecolor": "black", "alpha": 0.65, "pad": 1.2, "linewidth": 0},
    )  # fmt: skip


def save_figure(figure: Figure, *paths: Path) -> None:
    """Write a figure once per path, in the format that the ending names; equal figures give equal bytes.

    Letters that its font lacks come from other fonts of this machine; where none has them, a warning says so.
    """
    missing = use_other_fonts(figure)
    if missing and paths:
        logger.warning(
            "%s: no font of this machine has %s, drawn as boxes; install one that has, such as one of Google's Noto "
            "fonts (on Debian: apt-get install fonts-noto-cjk)",
            paths[0], missing,
        )  # fmt: skip
    for path in paths:
        kind = path.suffix[1:]
        metadata = {"pdf": {"CreationDate": None}, "png": {"Software": None}}[kind]
        with atomic_path(path) as temporary:
            figure.savefig(temporary, format=kind, metadata=metadata)
