r"""A table as LaTeX: ``table`` environments that need booktabs and amssymb, for ``\input``."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from multiflow.results.tables.model import DAGGER, MISSING, Cell, Column, Row, Table, Words

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["escape", "format_latex", "named_by_code"]

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    # LaTeX's own \$ and grave accent come from a font of symbols, which a plain installation has as a bitmap alone.
    "$": r"$\mathdollar$",
    "`": r"\`{}",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    '"': r"\texttt{\char34}",  # in LaTeX's usual encoding no other font has it
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "−": "$-$",
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
    escaped = "".join(map(_escaped, unicodedata.normalize("NFC", text)))
    return re.sub("-(?=-)|'(?=')", r"\g<0>{}", escaped)  # or they would become one dash, or one quotation mark


def named_by_code(text: str) -> str:
    """The characters that :func:`escape` has named by their codes in a text, each once."""
    return "".join(chr(int(code, 16)) for code in sorted(set(re.findall(r"\\mbox\{U\+([0-9A-F]+)\}", text))))


def _escaped(character: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if (character.isascii() and character.isprintable()) or character in _LETTERS:
        return character
    if character.isspace():
        return " "
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[1] in _ACCENTS:
        letter = rf"\{parts[0]}" if parts[0] in "ij" else parts[0]  # without their dots
        return rf"\{_ACCENTS[parts[1]]}{{{letter}}}"
    return rf"\mbox{{U+{ord(character):04X}}}"


def format_latex(table: Table) -> str:
    """The table with caption, label, rules, best bold, runner-up underlined, and footnotes.

    It is a ``table`` environment, or several where the rows do not fit on a page. A table without columns is its lead.
    """
    if not table.columns:
        return f"{escape(table.lead)}\n"
    table = table.for_people()
    assert all(len(row.headings) == len(table.stub) for row in table.rows)
    pages = [table.rows[start : start + _TALL] for start in range(0, len(table.rows), _TALL)] or [()]
    headings = table.rows[0].headings if table.rows else table.stub
    alignment = ["c" if isinstance(text, bool) else "l" for text in headings]
    alignment += ["l" if column.kind == "words" else "r" for column in table.columns]
    return _template().render(
        table=table,
        pages=[_lines(page) for page in pages],
        alignment="".join(alignment),
        head=" & ".join([escape(text) for text in table.stub] + [_heading(column) for column in table.columns]),
        wide=len(table.columns) >= _WIDE,
        empty=" & " * (len(alignment) - 1),
    )


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("multiflow.results.tables", "templates"),
        # LaTeX is full of braces and per cents.
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        autoescape=False,
    )
    environment.filters["tex"] = escape
    return environment.get_template("table.tex")


def _lines(rows: tuple[Row, ...]) -> list[str]:
    """The rows of a page; words that repeat those above them, from the left on, are left out."""
    lines = []
    for above, row in pairwise((None, *rows)):
        assert row is not None
        repeats = above is not None and not row.rule_above
        cells = [_row_heading(heading) for heading in row.headings]
        for index, cell in enumerate(row.cells):
            repeats &= isinstance(cell, Words) and above is not None and cell == above.cells[index]
            cells.append("" if repeats else _cell(cell))
        lines.append((r"\midrule" + "\n" if row.rule_above and above is not None else "") + " & ".join(cells))
    return lines


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


def _cell(cell: Cell | Words) -> str:
    if isinstance(cell, Words):
        return rf"\textbf{{{escape(cell.text)}}}" if cell.strong else escape(cell.text)
    value = escape(cell.printed)
    if cell.rank == 1:
        value = rf"\textbf{{{value}}}"
    elif cell.rank == 2:
        value = rf"\underline{{{value}}}"
    return rf"{value} {{\scriptsize $\pm$ {cell.printed_std}}}" if cell.printed_std else value
