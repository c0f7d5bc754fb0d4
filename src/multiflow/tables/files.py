"""Tables as files; each appears whole or not at all."""

from __future__ import annotations

from pathlib import Path

from multiflow.store import atomic_path
from multiflow.tables.latex import format_latex
from multiflow.tables.model import Table
from multiflow.tables.text import format_csv

__all__ = ["write_csv", "write_latex"]


def write_csv(table: Table, path: str | Path) -> None:
    """Write one CSV row per table row; see :func:`multiflow.tables.text.format_csv`."""
    _write(path, format_csv(table))


def write_latex(table: Table, path: str | Path) -> None:
    r"""Write a ``table`` environment for ``\input``; see :func:`multiflow.tables.latex.format_latex`."""
    _write(path, format_latex(table))


def _write(path: str | Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
