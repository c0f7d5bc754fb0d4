r"""A table as LaTeX: a ``table`` environment that needs booktabs and amssymb, for ``\input``."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from multiflow.tables.model import MISSING, Cell, Column, Table
from multiflow.tables.notes import DAGGER

__all__ = ["escape", "format_environment", "format_latex", "format_number"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "°": r"$^\circ$",
    "µ": r"$\mu$",
    DAGGER: r"$^\dagger$",
    # At the beginning of a row they would belong to the double backslash before it.
    "[": "{[}",
    "*": "{*}",
}

_ACCENTS = dict(
    zip("\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327", "`'^~=u.\"rHvc", strict=True)
)
"""Combining accents that LaTeX's own fonts can set on a letter, and its commands for them."""

_LETTERS = "ßæÆøØœŒłŁ¡¿–—‘’“”…"

_WIDE = 6
"""Columns from which on a table is set in a smaller type."""

_TALL = 45
"""Rows on a page."""

_LONG = 10
"""Characters above which a heading of several lines is broken at its hyphen, too."""


def escape(text: str) -> str:
    """Text with LaTeX's special characters made printable; one that its fonts lack is named by its code."""
    return "".join(map(_escaped, unicodedata.normalize("NFC", text)))


def _escaped(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character.isascii() or character in _LETTERS:
        return character
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        letter = rf"\{parts[0]}" if parts[0] in "ij" else parts[0]  # without their dots
        return rf"\{_ACCENTS[parts[1]]}{{{letter}}}"
    return rf"\mbox{{U+{ord(character):04X}}}"


def format_latex(table: Table) -> str:
    """A complete ``table`` environment: caption, label, rules, best bold, runner-up underlined, footnotes."""
    assert all(len(row.headings) == len(table.stub) for row in table.rows)
    heads = [escape(text) for text in table.stub] + [_heading(column) for column in table.columns]
    stub_alignment = "".join("c" if isinstance(text, bool) else "l" for text in table.rows[0].headings)
    rows = []
    for row in table.rows:
        cells = [_row_heading(heading) for heading in row.headings] + [_cell(cell) for cell in row.cells]
        rows.append((r"\midrule" + "\n" if row.rule_above else "") + " & ".join(cells))
    notes = [escape(note) for note in table.notes]
    if any(cell.rank for row in table.rows for cell in row.cells):
        notes.append(rf"\textbf{{Bold}}: best of a {table.compared}, \underline{{underlined}}: runner-up.")
    return format_environment(
        table.name,
        escape(table.caption),
        stub_alignment + "r" * len(table.columns),
        " & ".join(heads),
        rows,
        notes,
        wide=len(table.columns) >= _WIDE,
    )


def format_environment(
    name: str, caption: str, alignment: str, head: str, rows: Sequence[str], notes: Sequence[str], *, wide: bool = False
) -> str:
    """A ``table`` environment, or several where the rows do not fit on a page.

    Args:
        name: for its label.
        caption: one sentence without its full stop.
        alignment: of the columns.
        head: the row of headings; more of them end in a double backslash.
        rows: without the double backslash at their end.
        notes: footnotes below the last row.
        wide: whether it is set in a smaller type.
    """
    lines = []
    for start in range(0, len(rows), _TALL):
        lines += [
            r"\begin{table}[htbp]",
            r"\centering",
            *(
                [rf"\caption{{{caption}.}}", rf"\label{{tab:{name}}}"]
                if start == 0
                else [r"\addtocounter{table}{-1}", rf"\caption{{{caption} (continued).}}"]
            ),
            r"\scriptsize" if wide else r"\small",
            *([r"\setlength{\tabcolsep}{3pt}"] if wide else []),
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            rf"{head} \\",
            r"\midrule",
            *(rf"{row} \\" for row in rows[start : start + _TALL]),
            r"\bottomrule",
            r"\end{tabular}",
        ]
        if notes and start + _TALL >= len(rows):
            lines += [
                "",
                r"\smallskip",
                r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
                *(rf"{note}\par" for note in notes),
                r"\end{minipage}",
            ]
        lines.append(r"\end{table}")
    return "\n".join(lines) + "\n"


def _heading(column: Column) -> str:
    dagger = _SPECIAL[DAGGER] if column.published else ""
    if not column.remark:
        return escape(column.heading) + dagger
    heading = escape(column.heading)
    if len(column.heading) > _LONG:
        heading = heading.replace("-", r"-\\")
    return rf"\shortstack[r]{{{heading}{dagger}\\{escape(column.remark)}}}"


def _row_heading(heading: str | bool) -> str:
    if isinstance(heading, bool):
        return r"\checkmark" if heading else MISSING
    return escape(heading)


def _cell(cell: Cell) -> str:
    value = cell.printed
    if cell.rank == 1:
        value = rf"\textbf{{{value}}}"
    elif cell.rank == 2:
        value = rf"\underline{{{value}}}"
    return format_number(cell, value)


def format_number(cell: Cell, value: str = "") -> str:
    """A number ± its std, without bold and underline unless ``value`` has them."""
    value = value or cell.printed
    return rf"{value} {{\scriptsize $\pm$ {cell.printed_std}}}" if cell.printed_std else value
