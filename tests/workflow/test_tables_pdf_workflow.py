"""tables.pdf in the workflow: made where LaTeX is found, left out with a word where it is not."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from checkout import Checkout

OVERLAYS = ["config/demo.yaml", "test.yaml"]


def planned(printed: str) -> set[str]:
    """Rules of a dry run."""
    return set(re.findall(r"^(\w+) +\d+$", printed, re.MULTILINE))


def test_tables_are_typeset_and_rendered_parts_are_not_compared(
    rendered: Checkout, program: Callable[[str], str]
) -> None:
    program("pdflatex")
    results = rendered.folder / "results/small"
    assert (results / "tables.pdf").read_bytes().startswith(b"%PDF")
    for ending in ("csv", "tex"):
        assert (results / f"tables/comparison.{ending}").read_text() == "not comparable\n"
    summary = (results / "summary.txt").read_text()
    assert "Comparison with the paper: not comparable" in summary
    assert "results/small/tables.pdf" in summary
    assert (results / "tables/ablation_tests.csv").read_text().count("\n") == 1 + 2 + 4 + 4


def test_without_latex_the_pdf_is_left_out_with_a_word(
    rendered: Checkout, program: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And made once LaTeX is there: it alone, with the summary that says so."""
    program("pdflatex")
    pdf = rendered.folder / "results/small/tables.pdf"
    kept = pdf.rename(tmp_path / "tables.pdf")
    try:
        assert {"typeset_tables"} <= planned(rendered.succeed(OVERLAYS, "-n")) <= {
            "typeset_tables", "write_report", "results", "all", "total",
        }  # fmt: skip
        programs = tmp_path / "programs"
        programs.mkdir()
        for folder in os.environ["PATH"].split(os.pathsep):
            for path in Path(folder).glob("*"):
                link = programs / path.name
                if path.name != "pdflatex" and not link.is_symlink():
                    link.symlink_to(path)
        monkeypatch.setenv("PATH", str(programs))
        printed = rendered.succeed(OVERLAYS, "-n")
        assert "typeset_tables" not in planned(printed)
        assert "summarize" in planned(printed)
        assert "pdflatex was not found" in printed
    finally:
        kept.rename(pdf)
