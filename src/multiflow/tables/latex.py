r"""A table as LaTeX: a ``table`` environment that needs booktabs and amssymb, for ``\input``."""

from __future__ import annotations

from multiflow.tables.model import MISSING, Cell, Column, Table
from multiflow.tables.notes import DAGGER

__all__ = ["escape", "format_latex"]

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
    DAGGER: r"$^\dagger$",
}

_WIDE = 6
"""Columns from which on a table is set in a smaller type."""

_LONG = 10
"""Characters above which a heading of several lines is broken at its hyphen, too."""


def escape(text: str) -> str:
    """Text with LaTeX's special characters made printable."""
    return "".join(_SPECIAL.get(character, character) for character in text)


def format_latex(table: Table) -> str:
    """A complete ``table`` environment: caption, label, rules, best bold, runner-up underlined, footnotes."""
    stub = len(table.stub)
    wide = len(table.columns) >= _WIDE
    heads = [escape(text) for text in table.stub] + [_heading(column) for column in table.columns]
    stub_alignment = "".join("c" if isinstance(text, bool) else "l" for text in table.rows[0].headings)
    lines = [
        r"\begin{table}[htbp]",
        r"\centering",
        rf"\caption{{{escape(table.caption)}.}}",
        rf"\label{{tab:{table.name}}}",
        r"\scriptsize" if wide else r"\small",
        *([r"\setlength{\tabcolsep}{3pt}"] if wide else []),
        rf"\begin{{tabular}}{{{stub_alignment}{'r' * len(table.columns)}}}",
        r"\toprule",
        " & ".join(heads) + r" \\",
        r"\midrule",
    ]
    for row in table.rows:
        if row.rule_above:
            lines.append(r"\midrule")
        cells = [_row_heading(heading) for heading in row.headings] + [_cell(cell) for cell in row.cells]
        lines.append(" & ".join(cells) + r" \\")
    notes = [escape(note) for note in table.notes]
    if any(cell.rank for row in table.rows for cell in row.cells):
        notes.append(rf"\textbf{{Bold}}: best of a {table.compared}, \underline{{underlined}}: runner-up.")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if notes:
        lines += [
            "",
            r"\smallskip",
            r"\begin{minipage}{\linewidth}\footnotesize\raggedright",
            *(rf"{note}\par" for note in notes),
            r"\end{minipage}",
        ]
    lines.append(r"\end{table}")
    assert all(len(row.headings) == stub for row in table.rows)
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
    return rf"{value} {{\scriptsize $\pm$ {cell.printed_std}}}" if cell.printed_std else value
