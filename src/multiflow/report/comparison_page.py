"""The comparison with the paper and the tests of the ablations as pages."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

from multiflow.report.page import write_page
from multiflow.tables import TableContext, class_heading, metric_heading, table_place
from multiflow.tables.ablation_tests import AblationTest, ablation_notes
from multiflow.tables.comparison import NOT_COMPARABLE, ComparedCell, ComparedEffect, Comparison
from multiflow.tables.comparison_notes import comparison_notes
from multiflow.tables.model import MISSING, Cell
from multiflow.tables.notes import data_note
from multiflow.tables.text import format_difference

__all__ = ["write_ablation_tests_page", "write_comparison_page"]

_TITLE = "Comparison with the paper"


def write_comparison_page(comparison: Comparison | None, context: TableContext, path: str | Path) -> None:
    """Write a page with a row per published number; it can be sorted, filtered and searched."""
    if comparison is None:
        write_page(path, _TITLE, f"<p>{NOT_COMPARABLE}</p>")
        return
    effects = {(effect.test.table, effect.test.experiment, effect.test.metric): effect for effect in comparison.effects}
    rows = [
        _cell_row(cell, effects.get((cell.table, cell.experiment, cell.metric)), context) for cell in comparison.cells
    ]
    heads = {"Table": "", "Method or ablation": "", "Class": "", "Metric": ""}
    heads |= dict.fromkeys(["Published†", "Measured", "Difference"], "number") | {"Verdict": ""}
    heads |= dict.fromkeys(["Limit", "p", "p (Holm)"], "number") | {"Ablation's direction": ""}
    _write_rows(path, _TITLE, heads, rows, comparison_notes(comparison, context), "table.js")


def write_ablation_tests_page(tests: Sequence[AblationTest], context: TableContext, path: str | Path) -> None:
    """Write a page with a row per ablation and metric."""
    rows = [
        [
            _word(table_place(test.table)),
            _word(test.experiment.replace("_", " ")),
            _word(metric_heading(test.metric)),
            _number(test.difference, format_difference(test.difference)),
            _number(test.classes, str(test.classes)),
            _chance(test.ranks.p),
            _chance(test.p_holm),
            _word(test.verdict),
        ]
        for test in tests
    ]
    heads = {"Table": "", "Ablation": "", "Metric": ""}
    heads |= dict.fromkeys(["Difference to the default", "Classes", "p", "p (Holm)"], "number") | {
        "The ablation is": ""
    }
    notes = [data_note(context), *ablation_notes(tests, context)]
    title = "What each ablation changes, paired by class"
    _write_rows(path, title, heads, rows, notes, "table.js" if rows else None)


def _cell_row(cell: ComparedCell, effect: ComparedEffect | None, context: TableContext) -> list[str]:
    average = cell.class_name == "average"
    limit = cell.test.limit if cell.test else None
    return [
        _word(table_place(cell.table)),
        _word(context.methods.get(cell.experiment, cell.experiment.replace("_", " "))),
        _word("average" if average else class_heading(cell.class_name, context)),
        _word(metric_heading(cell.metric)),
        _mean(cell.published),
        _mean(cell.measured),
        _number(cell.difference, format_difference(cell.difference)),
        _word(cell.verdict + (f" (as in {table_place(cell.repeats)})" if cell.repeats else "")),
        _number(limit, "" if limit is None else f"{limit:.2f}"),
        _chance(cell.test.p if cell.test else None),
        _chance(cell.p_holm),
        _word(effect.verdict if effect is not None and average else ""),
    ]


def _write_rows(
    path: str | Path,
    title: str,
    heads: Mapping[str, str],
    rows: Sequence[Sequence[str]],
    notes: Sequence[str],
    script: str | None,
) -> None:
    """Columns are headings with their class; the first note stands above the table, the others below."""
    columns = "".join(f'<th scope="col" class="{kind}">{html.escape(text)}</th>' for text, kind in heads.items())
    lines = "".join(f"<tr>{''.join(row)}</tr>\n" for row in rows)
    write_page(
        path,
        title,
        f"<p>{html.escape(notes[0])}</p>\n"
        f'<div class="wide">\n<table id="table" class="booktabs">\n<thead>\n<tr>{columns}</tr>\n</thead>\n'
        f"<tbody>\n{lines}</tbody>\n</table>\n</div>\n"
        '<div class="notes">\n' + "".join(f"<p>{html.escape(note)}</p>\n" for note in notes[1:]) + "</div>",
        script=script,
    )


def _word(text: str) -> str:
    return f"<td>{html.escape(text)}</td>"


def _number(value: float | None, text: str) -> str:
    """A number: sorted by all its digits, found by those that are printed; an empty one is below all others."""
    if value is None:
        return f'<td class="number" data-order="-1000" data-search="{MISSING}">{MISSING}</td>'
    return f'<td class="number" data-order="{value!r}" data-search="{text}">{text}</td>'


def _mean(cell: Cell) -> str:
    number = _number(cell.value, cell.printed)
    return (
        number.replace("</td>", f' <span class="std">± {cell.printed_std}</span></td>') if cell.printed_std else number
    )


def _chance(value: float | None) -> str:
    return _number(value, "" if value is None else "&lt;0.001" if value < 0.0005 else f"{value:.3f}")
