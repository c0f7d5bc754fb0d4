"""A table of the paper as a page."""

from __future__ import annotations

import html
from pathlib import Path

from multiflow.report.page import write_page
from multiflow.tables.model import Cell, Column, Row, Table
from multiflow.tables.notes import DAGGER
from multiflow.tables.text import title

__all__ = ["format_cell", "write_table_page"]


def write_table_page(table: Table, path: str | Path) -> None:
    """Write a table as a page: best bold, runner-up underlined, footnotes below.

    A table with a class per row can be sorted, filtered and searched; its averages stay below.
    """
    by_class = table.row_key == "class"
    notes = [html.escape(note) for note in table.notes]
    if any(cell.rank for row in table.rows for cell in row.cells):
        notes.append(f"<b>Bold</b>: best of a {table.compared}; <u>underlined</u>: runner-up.")
    heads = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in table.stub)
    heads += "".join(_heading(column) for column in table.columns)
    body = [row for row in table.rows if not (by_class and row.rule_above)]
    foot = [row for row in table.rows if by_class and row.rule_above]
    footer = f"<tfoot>\n{_rows(foot)}</tfoot>\n" if foot else ""
    write_page(
        path,
        title(table),
        '<div class="wide">\n'
        f'<table id="table" class="booktabs">\n<thead>\n<tr>{heads}</tr>\n</thead>\n'
        f"<tbody>\n{_rows(body)}</tbody>\n{footer}</table>\n</div>\n"
        '<div class="notes">\n' + "".join(f"<p>{note}</p>\n" for note in notes) + "</div>",
        script="table.js" if by_class else None,
    )


def format_cell(cell: Cell) -> str:
    """A number as a table cell.

    It is sorted by all its digits and found by those that are printed; one that is missing is below all others.
    """
    if cell.value is None:
        return f'<td class="number" data-order="-1" data-search="{cell.printed}">{cell.printed}</td>'
    text = {0: "{}", 1: "<b>{}</b>", 2: "<u>{}</u>"}[cell.rank].format(cell.printed)
    if cell.printed_std:
        text += f' <span class="std">± {cell.printed_std}</span>'
    return f'<td class="number" data-order="{cell.value!r}" data-search="{cell.printed}">{text}</td>'


def _heading(column: Column) -> str:
    text = html.escape(column.heading) + (DAGGER if column.published else "")
    if column.remark:
        text += f'<br><span class="remark">{html.escape(column.remark)}</span>'
    return f'<th scope="col" class="number">{text}</th>'


def _rows(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        heads = "".join(f'<th scope="row">{_word(heading)}</th>' for heading in row.headings)
        mark = ' class="rule"' if row.rule_above else ""
        lines.append(f"<tr{mark}>{heads}{''.join(map(format_cell, row.cells))}</tr>\n")
    return "".join(lines)


def _word(heading: str | bool) -> str:
    if isinstance(heading, bool):
        return "✓" if heading else "–"
    return html.escape(heading)
