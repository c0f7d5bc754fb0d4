"""The tables as one PDF: it compiles whatever the names, fits the page, and is the same each time."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from table_runs import COLLECTION, REAL_IAD, TABLES, as_published, context, measured

from multiflow.base.errors import InputError
from multiflow.results.tables import (
    TableContext,
    ablation_tests_table,
    compare_ablations,
    compare_with_paper,
    comparison_tables,
    make_table,
    missing_latex,
    write_latex,
    write_pdf,
)


def typeset(folder: Path, metrics: pd.DataFrame, run: TableContext) -> str:
    """Write all tables and their PDF into a folder; returns LaTeX's log."""
    for name in TABLES:
        write_latex(make_table(name, metrics, run), folder / f"{name}.tex")
    write_latex(ablation_tests_table(compare_ablations(metrics, run), run), folder / "ablation_tests.tex")
    write_latex(comparison_tables(compare_with_paper(metrics, run), run), folder / "comparison.tex")
    sections = [
        ("Tables of the paper", [folder / f"{name}.tex" for name in TABLES]),
        ("Tests of the ablations", [folder / "ablation_tests.tex"]),
        ("Comparison with the paper", [folder / "comparison.tex"]),
    ]
    write_pdf(sections, f"Multi-Flow Bench: {run.dataset}", folder / "tables.pdf", folder / "latex.log")
    return (folder / "latex.log").read_text()


def check(log: str, pages: int) -> None:
    """At most so many pages, nothing wider or taller than its page, nothing missing."""
    written = re.search(r"Output written on main.pdf \((\d+) pages?,", log)
    assert written, log[-500:]
    assert int(written[1]) <= pages
    for trouble in ("Overfull", "Warning", "too large", "Missing character", "undefined"):
        assert trouble not in log, [line for line in log.splitlines() if trouble in line]


def test_the_demos_tables_fit_on_few_pages_and_are_the_same_each_time(
    program: Callable[[str], str], tmp_path: Path
) -> None:
    program("pdflatex")
    classes = ("stud_brick", "coin_cell")
    contents = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        check(typeset(tmp_path / name, measured(classes), context(classes)), pages=4)
        contents.append((tmp_path / name / "tables.pdf").read_bytes())
    assert contents[0] == contents[1]
    assert contents[0].startswith(b"%PDF")


def test_the_papers_tables_fit_on_few_pages(program: Callable[[str], str], tmp_path: Path) -> None:
    program("pdflatex")
    check(typeset(tmp_path, as_published(), context(REAL_IAD, (0, 1, 2, 3, 4), COLLECTION)), pages=8)


def test_odd_names_and_many_classes(program: Callable[[str], str], tmp_path: Path) -> None:
    """Names that LaTeX would take for commands or cannot set, one wider than a page, more classes than fit on one."""
    program("pdflatex")
    names = (
        "50%_of&#$",
        "~^{}\\",
        "Größe í ő ç ł",
        "部品",
        "[ĳ]*ẋ€",
        "[1]",
        "*",
        "w" * 150,
        *(f"part_{i}" for i in range(90)),
    )
    run = context(names)
    run = replace(run, dataset="Ünïcode & 100 % 部品_°")
    check(typeset(tmp_path, measured(names), run), pages=8)
    text = (tmp_path / "table5.tex").read_text()
    assert text.count(r"\begin{table}") == 3
    assert text.count("(continued)") == 2
    assert text.count(r"\label") == 1
    assert text.count(r"\begin{minipage}") == 1
    assert r"\mbox{U+90E8}\mbox{U+54C1}" in text


def test_latex_that_fails_is_one_line_with_the_place(program: Callable[[str], str], tmp_path: Path) -> None:
    program("pdflatex")
    table = tmp_path / "table1.tex"
    table.write_text("fine\n\\nosuchcommand\n")
    with pytest.raises(InputError) as caught:
        write_pdf([("Tables", [table])], "Title", tmp_path / "tables.pdf", tmp_path / "latex.log")
    log = tmp_path / "latex.log"
    assert str(caught.value) == f"{table}, line 2: LaTeX: Undefined control sequence; its log is {log}"
    assert "nosuchcommand" in log.read_text()
    assert not (tmp_path / "tables.pdf").exists()


def test_without_latex_the_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing_latex().startswith("pdflatex was not found; install LaTeX (on Debian: apt-get install texlive")
    with pytest.raises(InputError, match="pdflatex was not found"):
        write_pdf([], "Title", tmp_path / "tables.pdf", tmp_path / "latex.log")
    # A small LaTeX, without the packages that the tables need.
    for name, text in (("pdflatex", "exit 0"), ("kpsewhich", "echo /somewhere/graphicx.sty; exit 1")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    assert missing_latex().startswith(
        "LaTeX lacks amssymb.sty, booktabs.sty, caption.sty, geometry.sty, microtype.sty;"
    )
