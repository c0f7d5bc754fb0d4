"""The comparison with the paper and the tests of the ablations as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

from multiflow.tables.ablation_tests import AblationTest, ablation_notes
from multiflow.tables.ablations import ABLATIONS
from multiflow.tables.build import class_heading, metric_heading, table_place
from multiflow.tables.comparison import NOT_COMPARABLE, ComparedCell, ComparedEffect, Comparison
from multiflow.tables.comparison_notes import EFFECT_NOTES, comparison_notes
from multiflow.tables.context import TableContext
from multiflow.tables.latex import escape, format_environment, format_number
from multiflow.tables.model import MISSING
from multiflow.tables.notes import data_note
from multiflow.tables.significance import DifferenceTest
from multiflow.tables.text import format_difference

__all__ = ["format_ablation_tests_latex", "format_comparison_latex"]


def format_comparison_latex(comparison: Comparison | None, context: TableContext) -> str:
    """Tables of averages, of the ablations' effects, and of the classes; only of what was measured."""
    if comparison is None:
        return f"{NOT_COMPARABLE}\n"
    shown = [cell for cell in comparison.cells if not cell.repeats and cell.test is not None]
    averages = [cell for cell in shown if cell.class_name == "average"]
    classes = [cell for cell in shown if cell.class_name != "average"]
    parts = []
    if averages:
        parts.append(_averages(averages))
    if comparison.effects:
        parts.append(_effects(comparison.effects))
    for experiment in dict.fromkeys(cell.experiment for cell in classes):
        own = [cell for cell in classes if cell.experiment == experiment]
        parts.append(_classes(own, context.methods[experiment], context))
    return "\n".join([_explanation(comparison, context), *parts])


def _averages(cells: Sequence[ComparedCell]) -> str:
    rows = []
    for cell in cells:
        test = cell.test or DifferenceTest()
        line = [table_place(cell.table), escape(cell.heading), metric_heading(cell.metric)]
        line += [format_number(cell.published), format_number(cell.measured), _difference(cell.difference)]
        rows.append([*line, _two(test.limit), _p(test.p), _p(cell.p_holm), _verdict(cell)])
    head = r"& & Metric & Published$^\dagger$ & Measured & Difference & Limit & $p$ & $p$ (Holm) & Verdict"
    caption = "Averages over the classes, measured against published"
    return format_environment("comparison", caption, "lllrrrrrrl", head, _grouped(rows), (), wide=True)


def _classes(cells: Sequence[ComparedCell], method: str, context: TableContext) -> str:
    metrics = list(dict.fromkeys(cell.metric for cell in cells))
    tables = {cell.metric: cell.table for cell in cells}
    by_place = {(cell.class_name, cell.metric): cell for cell in cells}
    rows = []
    for name in dict.fromkeys(cell.class_name for cell in cells):
        line = [escape(class_heading(name, context))]
        for metric in metrics:
            cell = by_place.get((name, metric))
            if cell is None or cell.test is None:
                line += [MISSING, MISSING, "", "", ""]
                continue
            line += [format_number(cell.published), format_number(cell.measured), _difference(cell.difference)]
            line += [_two(cell.test.limit), _verdict(cell)]
        rows.append(" & ".join(line))
    groups = "".join(
        rf" & \multicolumn{{5}}{{c}}{{{metric_heading(metric)} ({table_place(tables[metric])})}}" for metric in metrics
    )
    rules = " ".join(rf"\cmidrule(lr){{{2 + 5 * index}-{6 + 5 * index}}}" for index in range(len(metrics)))
    names = r" & Published$^\dagger$ & Measured & Diff. & Limit & Verdict" * len(metrics)
    return format_environment(
        f"comparison-classes-{escape(method).lower()}",
        f"{escape(method)} per class, measured against published",
        "l" + "rrrrl" * len(metrics),
        rf"{groups} \\" + f"\n{rules}\nClass{names}",
        rows,
        (),
        wide=True,
    )


def _effects(effects: Sequence[ComparedEffect]) -> str:
    rows = []
    for effect in effects:
        test = effect.test
        line = [table_place(test.table), escape(test.experiment.replace("_", " ")), metric_heading(test.metric)]
        line += [_difference(effect.published, effect.digits), _difference(test.difference), str(test.classes)]
        rows.append([*line, _p(test.ranks.p), _p(test.p_holm), effect.verdict])
    head = r"& Ablation & Metric & Published$^\dagger$ & Measured & Classes & $p$ & $p$ (Holm) & Verdict"
    return format_environment(
        "comparison-effects",
        "What each ablation changes, measured against published",
        "lllrrrrrl",
        head,
        _grouped(rows),
        [escape(note) for note in EFFECT_NOTES],
        wide=True,
    )


def _explanation(comparison: Comparison, context: TableContext) -> str:
    paragraphs = "".join(rf"{escape(note)}\par" + "\n" for note in comparison_notes(comparison, context))
    return r"{\footnotesize\setlength{\parindent}{0pt}" + f"\n{paragraphs}}}\n"


def format_ablation_tests_latex(tests: Sequence[AblationTest], context: TableContext) -> str:
    """One table: an ablation per row, a metric per column; the difference to the default and its p."""
    metrics = list(dict.fromkeys(metric for layout in ABLATIONS.values() for metric in layout.metrics))
    found = {(test.table, test.experiment, test.metric): test for test in tests}
    rows = []
    for name in ABLATIONS:
        for experiment in dict.fromkeys(test.experiment for test in tests if test.table == name):
            line = [table_place(name), escape(experiment.replace("_", " "))]
            rows.append(line + [_tested(found.get((name, experiment, metric))) for metric in metrics])
    notes = [escape(note) for note in (data_note(context), *ablation_notes(tests, context))]
    head = " & ".join(["", "Ablation", *map(metric_heading, metrics)])
    return format_environment(
        "ablation-tests",
        "What each ablation changes, paired by class",
        "ll" + "r" * len(metrics),
        head,
        _grouped(rows) or [" & " * (1 + len(metrics))],
        notes,
    )


def _tested(test: AblationTest | None) -> str:
    if test is None:
        return ""
    star = "$^*$" if test.verdict != "cannot tell" else r"\phantom{$^*$}"
    return rf"{_difference(test.difference)}{star} {{\scriptsize ({_p(test.ranks.p)})}}"


def _grouped(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as LaTeX: a rule between tables, and what repeats in the first two columns only once."""
    lines: list[str] = []
    before: Sequence[str] = ("", "")
    for row in rows:
        same = row[0] == before[0]
        shown = ["" if same else row[0], "" if same and row[1] == before[1] else row[1], *row[2:]]
        lines.append(("" if same or not lines else "\\midrule\n") + " & ".join(shown))
        before = row
    return lines


def _verdict(cell: ComparedCell) -> str:
    return rf"\textbf{{{cell.verdict}}}" if cell.verdict == "differ" else cell.verdict


def _difference(value: float | None, digits: int = 2) -> str:
    text = format_difference(value, digits)
    return f"${text.replace('−', '-')}$" if text[0] in "+−" else text


def _two(value: float | None) -> str:
    return MISSING if value is None else f"{value:.2f}"


def _p(value: float | None) -> str:
    if value is None:
        return MISSING
    return "$<$0.001" if value < 0.0005 else f"{value:.3f}"
