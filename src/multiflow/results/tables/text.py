"""A table as CSV and as aligned text."""

from __future__ import annotations

import csv
import io
import textwrap

from multiflow.results.tables.model import DAGGER, MISSING, Cell, Column, Table, Words

__all__ = ["format_csv", "format_text"]

_MARKS = {0: " ", 1: "*", 2: "+"}


def format_csv(table: Table) -> str:
    """One row per table row: its key, its headings, then its cells; of a measurement value, std, n and source.

    Measured values have four decimals (percent), published ones those that were printed. A measurement that was
    never computed or published is ``-``; anything else that is not there is empty.
    """
    if not table.columns:
        return f"{table.lead}\n"
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    keyed = bool(table.row_key)
    headings = [f"{text.lower().replace(' ', '_')}" for text in table.stub]
    # The key and the heading must not share a name: class and class_name.
    header = [table.row_key] * keyed + [f"{name}_name" if name == table.row_key else name for name in headings]
    for column in table.columns:
        # An experiment may be called metric, or as another one's standard deviation.
        key = column.key if column.key not in header else f"{column.key}_value"
        header.append(key)
        if column.kind == "measurement":
            header += [f"{key}_std", f"{key}_n", f"{key}_source"]
    writer.writerow(header)
    for row in table.rows:
        line = [row.key] * keyed + [_word(heading) for heading in row.headings]
        for column, cell in zip(table.columns, row.cells, strict=True):
            line += _csv_cell(column, cell)
        writer.writerow(line)
    return stream.getvalue()


def format_text(table: Table) -> str:
    """The table for a terminal: aligned columns, ``*`` best, ``+`` runner-up, footnotes below."""
    table = table.for_people()
    heads = [*table.stub, *(_heading(column) for column in table.columns)]
    body = [
        [*(_word(heading) for heading in row.headings), *(_text_cell(cell) for cell in row.cells)] for row in table.rows
    ]
    widths = [max(len(line[i]) for line in [heads, *body]) for i in range(len(heads))]
    left = [True] * len(table.stub) + [column.kind == "words" for column in table.columns]

    def aligned(line: list[str]) -> str:
        cells = [
            text.ljust(width) if is_left else text.rjust(width)
            for text, width, is_left in zip(line, widths, left, strict=True)
        ]
        return "  ".join(cells).rstrip()

    width = max(sum(widths) + 2 * (len(widths) - 1), len(table.title))
    rule = "-" * width
    lines = [table.title, *([table.lead] if table.lead else []), rule, aligned(heads), rule]
    for row, line in zip(table.rows, body, strict=True):
        if row.rule_above:
            lines.append(rule)
        lines.append(aligned(line))
    lines.append(rule)
    notes = list(table.notes)
    if table.ranked:
        notes.append(f"* best of a {table.compared}, + runner-up.")
    for note in notes:
        lines += textwrap.wrap(note, max(72, min(width, 110)), subsequent_indent="  ")
    return "\n".join(lines) + "\n"


def _heading(column: Column) -> str:
    words = f"{column.heading} {column.remark}".strip() + (DAGGER if column.published else "")
    # The trailing blank is where cells have their mark.
    return words if column.kind == "words" else f"{words} "


def _word(heading: str | bool) -> str:
    if isinstance(heading, bool):
        return "yes" if heading else "no"
    return heading


def _text_cell(cell: Cell | Words) -> str:
    if isinstance(cell, Words):
        return cell.text
    std = f" ± {cell.printed_std}" if cell.printed_std else ""
    return f"{cell.printed}{std}{_MARKS[cell.rank]}"


def _csv_cell(column: Column, cell: Cell | Words) -> list[str]:
    if isinstance(cell, Words):
        return [cell.key or cell.text]
    digits = cell.digits if cell.source == "published" or cell.digits == 0 else 4
    if cell.value is None:
        value = MISSING if column.kind == "measurement" else ""
    else:
        value = f"{cell.value:.4g}" if cell.form == "chance" else f"{cell.value:.{digits}f}"
    if column.kind != "measurement":
        return [value]
    std = "" if cell.std is None else f"{cell.std:.{4 if cell.source == 'measured' else 2}f}"
    return [value, std, "" if cell.n is None else str(cell.n), cell.source]
