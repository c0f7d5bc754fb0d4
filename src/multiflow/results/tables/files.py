"""Tables as files; each appears whole or not at all, and stays as it is where it would be the same."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiflow.results.tables.latex import format_latex
from multiflow.results.tables.model import Table
from multiflow.results.tables.text import format_csv
from multiflow.results.text_files import write_text

__all__ = ["write_csv", "write_latex"]


def write_csv(table: Table, path: str | Path) -> None:
    """Write one CSV row per table row; see :func:`multiflow.results.tables.text.format_csv`."""
    write_text(path, format_csv(table))


def write_latex(tables: Table | Sequence[Table], path: str | Path) -> None:
    r"""Write tables for ``\input``; see :func:`multiflow.results.tables.latex.format_latex`."""
    tables = [tables] if isinstance(tables, Table) else tables
    write_text(path, "\n".join(map(format_latex, tables)))
