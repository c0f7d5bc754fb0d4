"""Critical-difference diagrams: methods at their mean rank, and bars over those of whom no two differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from matplotlib.axes import Axes

from multiflow.results.figures.canvas import GREY, MEASURED, Sheet, figure_style, save_figure
from multiflow.results.metric_names import metric_heading
from multiflow.results.tables import MethodComparison, TableContext

__all__ = ["plot_critical_differences"]

_WIDTH, _TOP, _GAP = 3.2, 0.5, 0.25
_RANK, _LETTER = 0.55, 0.062  # inches of the number beside a name, and of a letter
_TITLE, _BARS, _BAR, _ROW = 0.5, 0.14, 0.1, 0.19  # inches: above the axis, above the first bar, a bar, a name
_NOTE = 0.3


@figure_style()
def plot_critical_differences(comparisons: Sequence[MethodComparison], context: TableContext, *paths: Path) -> None:
    """Draw a panel per metric, one below the other (Demšar, Statistical comparisons of classifiers, 2006).

    The better half of the methods has its names at the left, the other half at the right. Bars join neighbours of whom
    no two differ by the signed-rank tests of :func:`multiflow.results.tables.method_ranks.compare_methods`.

    Args:
        comparisons: of the methods, by metric.
        context: the run.
        paths: the files.
    """
    heights = [_panel_height(comparison) for comparison in comparisons]
    labels = _RANK + _LETTER * max(map(len, context.methods.values()))
    sheet = Sheet(_WIDTH + 2 * labels, _TOP + sum(heights) + _GAP * len(heights))
    sheet.text(0.1, 0.1, f"{context.dataset}: mean ranks over the classes", fontsize=10, weight="bold")
    top = _TOP
    for comparison, height in zip(comparisons, heights, strict=True):
        _draw_panel(sheet, top, height, comparison, context)
        top += height + _GAP
    save_figure(sheet.figure, *paths)


def _rows(comparison: MethodComparison) -> int:
    """Names above each other: those of the better half."""
    return (len(comparison.mean_ranks) + 1) // 2


def _panel_height(comparison: MethodComparison) -> float:
    bars = len(comparison.undecided_groups) if not comparison.reason else 0
    return _TITLE + _BARS + bars * _BAR + (_rows(comparison) + 0.5) * _ROW + (_NOTE if comparison.reason else 0)


def _draw_panel(sheet: Sheet, top: float, height: float, comparison: MethodComparison, context: TableContext) -> None:
    """One metric: its axis of ranks, the bars below it, then the names."""
    means = comparison.mean_ranks
    heading = metric_heading(comparison.metric)
    classes = f", {len(comparison.ranks)} class{'es' if len(comparison.ranks) != 1 else ''}" if means else ""
    p = "" if comparison.friedman_p is None else f", Friedman's p {_chance(comparison.friedman_p)}"
    sheet.text(0.1, top, f"{heading}{classes}{p}", fontsize=8)
    if comparison.reason:
        note = fill(f"No test can decide anything here: {comparison.reason}.", 100)
        sheet.text(0.1, top + height - _NOTE, note, fontsize=7, color=GREY)
    if not means:
        return
    axes = sheet.axes(
        (sheet.width - _WIDTH) / 2, top + _TITLE, _WIDTH, height - _TITLE - (_NOTE if comparison.reason else 0)
    )
    axes.set(xlim=(1, len(means)), ylim=(axes.get_window_extent().height / sheet.figure.dpi, 0))
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.set_yticks([])
    axes.set_xticks(range(1, len(means) + 1))
    axes.xaxis.tick_top()
    bars = [] if comparison.reason else comparison.undecided_groups
    for index, group in enumerate(bars):
        place = _BARS + index * _BAR
        ends = [means[name] for name in (group[0], group[-1])]
        margin = 0.012 * (len(means) - 1)
        axes.plot([ends[0] - margin, ends[1] + margin], [place, place], color="black", linewidth=3.2,
                  solid_capstyle="butt", clip_on=False)  # fmt: skip
    _draw_names(axes, _BARS + len(bars) * _BAR, means, context)


def _draw_names(axes: Axes, first: float, means: dict[str, float], context: TableContext) -> None:
    """Lines from the axis to the names; the outermost method is the highest, so that no two lines cross."""
    better = (len(means) + 1) // 2
    for index, (name, mean) in enumerate(means.items()):
        left = index < better
        place = first + (index if left else len(means) - 1 - index) * _ROW + 0.06
        edge = 1 if left else len(means)
        axes.plot([mean, mean, edge], [0, place, place], color=MEASURED, linewidth=0.8, clip_on=False)
        text = f"{context.methods[name]}  {mean:.2f}" if left else f"{mean:.2f}  {context.methods[name]}"
        axes.annotate(
            text, (edge, place), (-4 if left else 4, 0), textcoords="offset points", fontsize=7.5,
            ha="right" if left else "left", va="center", annotation_clip=False,
        )  # fmt: skip


def _chance(p: float) -> str:
    return "< 0.001" if p < 0.0005 else f"= {p:.3f}"
