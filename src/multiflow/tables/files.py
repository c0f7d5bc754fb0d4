"""Tables as files; each appears whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiflow.store import atomic_path
from multiflow.tables.ablation_tests import AblationTest
from multiflow.tables.comparison import Comparison
from multiflow.tables.comparison_csv import format_ablation_tests_csv, format_comparison_csv
from multiflow.tables.comparison_latex import format_ablation_tests_latex, format_comparison_latex
from multiflow.tables.context import TableContext
from multiflow.tables.latex import format_latex
from multiflow.tables.model import Table
from multiflow.tables.text import format_csv

__all__ = ["write_ablation_tests", "write_comparison", "write_csv", "write_latex"]


def write_csv(table: Table, path: str | Path) -> None:
    """Write one CSV row per table row; see :func:`multiflow.tables.text.format_csv`."""
    _write(path, format_csv(table))


def write_latex(table: Table, path: str | Path) -> None:
    r"""Write a ``table`` environment for ``\input``; see :func:`multiflow.tables.latex.format_latex`."""
    _write(path, format_latex(table))


def write_comparison(comparison: Comparison | None, context: TableContext, csv: str | Path, latex: str | Path) -> None:
    """Write the comparison with the paper; "not comparable" and nothing else where there is none."""
    _write(csv, format_comparison_csv(comparison))
    _write(latex, format_comparison_latex(comparison, context))


def write_ablation_tests(
    tests: Sequence[AblationTest], context: TableContext, csv: str | Path, latex: str | Path
) -> None:
    """Write the tests of the ablations."""
    _write(csv, format_ablation_tests_csv(tests))
    _write(latex, format_ablation_tests_latex(tests, context))


def _write(path: str | Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
