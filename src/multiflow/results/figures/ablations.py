"""What an experiment changes: differences to its reference, paired by class, and the verdict of the tables' test."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from matplotlib.axes import Axes

from multiflow.results.figures.canvas import BETTER, GREY, WORSE, Sheet, figure_style, save_figure, say, text_width
from multiflow.results.tables import AblationTest, Results, TableContext, compare_ablations, metric_heading
from multiflow.results.tables.method_ranks import RANKED_METRICS
from multiflow.results.tables.significance import LEVEL

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["changes", "compared_experiments", "plot_ablations"]

_WIDTH, _LEFT, _GAP, _TOP, _BOTTOM = 2.1, 2.25, 0.18, 0.95, 0.55
_ROW, _LINE = 0.45, 0.115  # inches of a row that has two lines of changes, and of a further line
_WRAP, _LINES = 38, 4  # characters, lines
_MARGIN, _NAME_GAP = 0.1, 0.04  # inches left of the longest name; right of a name, in widths of a panel
_COLORS = {"better": BETTER, "worse": WORSE}


def compared_experiments(context: TableContext) -> dict[str, str]:
    """The rows of the figure, and what each is compared with.

    An experiment of an ablation table is compared with the table's reference. One that is in no table, and no column of
    the tables of methods either, is compared with the first method.
    """
    rows: dict[str, str] = {}
    others = set(context.methods)
    for name, table in context.ablations.items():
        wrong = context.contradictions(name)
        if table.reference in context.experiments and table.reference not in wrong:
            others.add(table.reference)
            for experiment in table.rows:
                if experiment != table.reference and experiment not in wrong:
                    rows.setdefault(experiment, table.reference)
    return {name: rows.get(name, context.main) for name in context.experiments if name in rows or name not in others}


def changes(experiment: str, reference: str, context: TableContext) -> str:
    """What an experiment has that its reference has not, in words: facts, and parts of protocol phrases."""
    own, other = context.experiments.get(experiment), context.experiments.get(reference)
    if own is None or other is None:
        return ""
    facts = {key: value for key, value in own.facts.items() if other.facts.get(key) != value}
    words = [f"{key}: {value}".replace("_", " ") for key, value in facts.items()]
    for key, phrase in own.protocol.items():
        if key not in facts:
            # Commas separate the parts of a phrase; those that both have change nothing.
            known = set(other.protocol.get(key, "").split(", "))
            words += [part for part in phrase.split(", ") if part not in known]
    return ", ".join(words)


@figure_style()
def plot_ablations(metrics: DataFrame, context: TableContext, *paths: Path) -> None:
    """Draw a panel per metric and a row per experiment: a dot per class, and their mean in the colour of the verdict.

    Differences and verdicts are those of the table of ablation tests
    (:func:`multiflow.results.tables.ablation_tests.compare_ablations`).

    Args:
        metrics: as from :func:`multiflow.results.records.load_metrics`.
        context: the run.
        paths: the files.
    """
    rows = compared_experiments(context)
    texts = {
        name: wrap(changes(name, of, context), _WRAP, max_lines=_LINES, placeholder=" …") for name, of in rows.items()
    }
    count = max(len(rows), 1)
    height = _ROW + _LINE * max(0, *(len(lines) - 2 for lines in texts.values()), 0)
    references = list(dict.fromkeys(rows.values()))
    other = references[0] if len(references) == 1 else "the experiment in brackets"
    headings = [name if len(references) == 1 else f"{name} ({of})" for name, of in rows.items()]
    left = max([_LEFT, *(_MARGIN + text_width(heading) + _NAME_GAP * _WIDTH for heading in headings)])
    sheet = Sheet(left + len(RANKED_METRICS) * (_WIDTH + _GAP), _TOP + count * height + _BOTTOM)
    sheet.text(_MARGIN, 0.1, f"Difference to {other}, paired by class", fontsize=10, weight="bold")
    results, classes = Results(metrics), len(context.classes)
    tests = compare_ablations(metrics, context)
    for index, metric in enumerate(RANKED_METRICS):
        axes = sheet.axes(left + index * (_WIDTH + _GAP), _TOP, _WIDTH, count * height)
        axes.set_title(metric_heading(metric), pad=4)
        axes.set(ylim=(count - 0.5, -0.5), xlabel="percentage points")
        axes.set_yticks([])
        if index == 0:
            for place, (heading, lines) in enumerate(zip(headings, texts.values(), strict=True)):
                _write_name(axes, place, heading, lines)
        differences = [results.paired_differences(name, of, metric) for name, of in rows.items()]
        verdicts = {(test.experiment, test.reference): test.verdict for test in tests if test.metric == metric}
        _draw_panel(axes, differences, [verdicts.get(row) for row in rows.items()], classes)
    sheet.text(_MARGIN, 0.36, _note(tests, classes) if rows else "The run has no other experiment.", color=GREY)
    save_figure(sheet.figure, *paths)


def _note(tests: Sequence[AblationTest], classes: int) -> str:
    """What is drawn, and what the colours say."""
    drawn = f"○ a class   ◆ mean over the classes (n = {classes} unless a row says otherwise)"
    if not tests:
        return f"{drawn}; hollow: not tested, since no ablation table shows it."
    lines = [
        f"{drawn}; green better, orange worse, by Wilcoxon's signed-rank test over the classes: p below "
        f"{100 * LEVEL:g} % after Holm's correction over all {len(tests)} tests;",
        "grey: undecided; hollow: not tested, since no ablation table shows it.",
    ]
    if len(tests) * min(test.smallest_p for test in tests) >= LEVEL:
        most = max(test.classes for test in tests)
        lines[1] += f" {most} class{'es' if most != 1 else ''} are too few for any verdict here."
    return "\n".join(lines)


def _draw_panel(
    axes: Axes, differences: Sequence[Mapping[str, float]], verdicts: Sequence[str | None], classes: int
) -> None:
    """One metric: differences by class and the verdict, of each row."""
    values = [value for row in differences for value in row.values()]
    if not values:
        say(axes, "nothing to compare")
        return
    axes.grid(axis="x")
    axes.axvline(0, color="black", linewidth=0.8)
    for row, (of_class, verdict) in enumerate(zip(differences, verdicts, strict=True)):
        if not of_class:
            axes.text(0, row, " not computed", va="center", fontsize=7, color=GREY)
            continue
        points = sorted(of_class.values())
        axes.plot(
            points, [row + 0.2] * len(points), linestyle="", marker="o", markersize=3, markerfacecolor="none",
            markeredgecolor=GREY, markeredgewidth=0.6, alpha=0.8,
        )  # fmt: skip
        color = _COLORS.get(verdict or "", GREY)
        axes.plot(
            statistics.fmean(points), row - 0.12, marker="D", markersize=4.5, color=color,
            markerfacecolor=color if verdict else "white",
        )  # fmt: skip
        if len(points) != classes:
            axes.text(
                1.0, row - 0.12, f"n = {len(points)}", transform=axes.get_yaxis_transform(), ha="right", va="center",
                fontsize=6, color=GREY,
            )  # fmt: skip
    reach = 1.08 * max(max(map(abs, values)), 0.5)
    axes.set_xlim(-reach, reach)


def _write_name(axes: Axes, row: int, name: str, lines: Sequence[str]) -> None:
    """An experiment's name, and below it what it changes."""
    place = axes.get_yaxis_transform()
    axes.text(-_NAME_GAP, row - 0.06, name, transform=place, ha="right", va="bottom" if lines else "center")
    axes.text(-_NAME_GAP, row - 0.02, "\n".join(lines), transform=place, ha="right", va="top", fontsize=6.5, color=GREY)
