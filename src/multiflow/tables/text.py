"""A table as CSV and as aligned text."""

from __future__ import annotations

import csv
import io
import textwrap

from multiflow.tables.model import MISSING, Cell, Column, Table
from multiflow.tables.notes import DAGGER

__all__ = ["format_csv", "format_difference", "format_text", "title"]

_MARKS = {0: " ", 1: "*", 2: "+"}


def format_csv(table: Table) -> str:
    """One row per table row: its key, its headings, then value, std, n and source per column.

    Measured values have four decimals (percent), published ones those that were printed. A value that was
    never computed or published is ``-``; std and n are empty where there is none.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    headings = [f"{text.lower().replace(' ', '_')}" for text in table.stub]
    # The key and the heading must not share a name: class and class_name.
    header = [table.row_key, *(f"{name}_name" if name == table.row_key else name for name in headings)]
    for column in table.columns:
        header += [column.key, f"{column.key}_std", f"{column.key}_n", f"{column.key}_source"]
    writer.writerow(header)
    for row in table.rows:
        line = [row.key, *(_word(heading) for heading in row.headings)]
        for cell in row.cells:
            line += _csv_cell(cell)
        writer.writerow(line)
    return stream.getvalue()


def format_text(table: Table) -> str:
    """The table for a terminal: aligned columns, ``*`` best, ``+`` runner-up, footnotes below."""
    heads = [*table.stub, *(_heading(column) for column in table.columns)]
    body = [
        [*(_word(heading) for heading in row.headings), *(_text_cell(cell) for cell in row.cells)] for row in table.rows
    ]
    widths = [max(len(line[i]) for line in [heads, *body]) for i in range(len(heads))]
    stub = len(table.stub)

    def aligned(line: list[str]) -> str:
        cells = [
            text.ljust(width) if i < stub else text.rjust(width)
            for i, (text, width) in enumerate(zip(line, widths, strict=True))
        ]
        return "  ".join(cells).rstrip()

    width = sum(widths) + 2 * (len(widths) - 1)
    rule = "-" * width
    lines = [title(table), rule, aligned(heads), rule]
    for row, line in zip(table.rows, body, strict=True):
        if row.rule_above:
            lines.append(rule)
        lines.append(aligned(line))
    lines.append(rule)
    notes = list(table.notes)
    if any(cell.rank for row in table.rows for cell in row.cells):
        notes.append(f"* best of a {table.compared}, + runner-up.")
    for note in notes:
        lines += textwrap.wrap(note, max(72, min(width, 110)), subsequent_indent="  ")
    return "\n".join(lines) + "\n"


def title(table: Table) -> str:
    """The caption, after the number where the paper's table has one."""
    number = table.name.removeprefix("table")
    return f"Table {number}: {table.caption}" if number != table.name else table.caption


def format_difference(value: float | None, digits: int = 2) -> str:
    """A difference with its sign, and none where it is printed as zero."""
    if value is None:
        return MISSING
    text = f"{value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else text[1:]


def _heading(column: Column) -> str:
    words = f"{column.heading} {column.remark}".strip()
    # The trailing blank stands where cells have their mark.
    return f"{words}{DAGGER if column.published else ''} "


def _word(heading: str | bool) -> str:
    if isinstance(heading, bool):
        return "yes" if heading else "no"
    return heading


def _text_cell(cell: Cell) -> str:
    std = f" ± {cell.printed_std}" if cell.printed_std else ""
    return f"{cell.printed}{std}{_MARKS[cell.rank]}"


def _csv_cell(cell: Cell) -> list[str]:
    if cell.value is None:
        return [MISSING, "", "" if cell.n is None else str(cell.n), cell.source]
    digits = 4 if cell.source == "measured" else cell.digits
    std = "" if cell.std is None else f"{cell.std:.{4 if cell.source == 'measured' else 2}f}"
    return [f"{cell.value:.{digits}f}", std, "" if cell.n is None else str(cell.n), cell.source]
