"""All tables as one PDF, by LaTeX."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.results.tables.latex import escape, named_by_code

__all__ = ["missing_latex", "write_pdf"]

logger = logging.getLogger(__name__)

_INSTALL = "install LaTeX (on Debian: apt-get install texlive-latex-recommended)"

_STYLES = ("amssymb", "booktabs", "caption", "geometry", "graphicx", "microtype")

# Tables stay where they stand, and one that is wider than the page is set smaller. Nothing refers to their labels, so
# one pass of LaTeX is enough. The last three lines keep time, path and version out of the file: the same tables give
# the same bytes.
_PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage[margin=2cm]{geometry}
\usepackage{amssymb,booktabs,caption,graphicx,microtype}
\captionsetup{font=small,labelfont=bf}
\raggedbottom
\renewcommand{\label}[1]{}
\renewenvironment{table}[1][]
  {\par\bigskip\noindent\begin{minipage}{\linewidth}\captionsetup{type=table}}
  {\end{minipage}\par\bigskip}
\newsavebox{\wholetable}
\let\plaintabular\tabular
\let\endplaintabular\endtabular
\renewenvironment{tabular}[1]
  {\begin{lrbox}{\wholetable}\plaintabular{#1}}
  {\endplaintabular\end{lrbox}%
   \ifdim\wd\wholetable>\linewidth\resizebox{\linewidth}{!}{\usebox{\wholetable}}\else\usebox{\wholetable}\fi}
\pdfinfoomitdate=1
\pdftrailerid{}
\pdfsuppressptexinfo=-1
"""


def missing_latex() -> str:
    """What of LaTeX is missing here and how to get it, in words; empty where the tables can be typeset."""
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        return f"pdflatex was not found; {_INSTALL}"
    files = [f"{style}.sty" for style in _STYLES]
    found = subprocess.run(["kpsewhich", *files], capture_output=True, text=True, check=False).stdout
    missing = [name for name in files if f"/{name}\n" not in found]
    return f"LaTeX lacks {', '.join(missing)}; {_INSTALL}" if missing else ""


def write_pdf(sections: Sequence[tuple[str, Sequence[Path]]], title: str, path: str | Path, log: str | Path) -> None:
    """Typeset files of tables into one PDF; the same files give the same bytes.

    Args:
        sections: headings and the files below each; ``table<number>.tex`` gets that number, others have none.
        title: of the document.
        path: the PDF.
        log: where LaTeX's own log goes, also if it fails.

    Raises:
        InputError: LaTeX is not there, or does not take the files; the line holds the first error of its log.
    """
    if missing := missing_latex():
        raise InputError(f"{path}: {missing}")
    files = [file for _, group in sections for file in group]
    with tempfile.TemporaryDirectory() as folder:
        for file in files:
            shutil.copyfile(file, Path(folder) / file.name)
        document = _document(sections, title)
        (Path(folder) / "main.tex").write_text(document, encoding="utf-8")
        texts = [document, *(file.read_text(encoding="utf-8") for file in files)]
        if coded := named_by_code("\n".join(texts)):
            logger.warning(
                "%s: LaTeX's fonts lack %s, printed there by their codes; the report and the tables in HTML and CSV "
                "have them, and a name in Latin letters can be printed",
                path, coded,
            )  # fmt: skip
        failed, text = _typeset(Path(folder))
        with atomic_path(log) as temporary:
            temporary.write_text(text, encoding="utf-8")
        if failed:
            raise InputError(_first_error(text, files, log))
        with atomic_path(path) as temporary:
            shutil.copyfile(Path(folder) / "main.pdf", temporary)


def _document(sections: Sequence[tuple[str, Sequence[Path]]], title: str) -> str:
    lines = [_PREAMBLE + r"\begin{document}", rf"\begin{{center}}\Large\bfseries {escape(title)}\end{{center}}"]
    for heading, files in sections:
        lines.append(rf"\section*{{{escape(heading)}}}")
        for file in files:
            number = re.fullmatch(r"table(\d+)", file.stem)
            if number:
                lines.append(rf"\setcounter{{table}}{{{int(number[1]) - 1}}}\input{{{file.name}}}")
            else:
                lines.append(rf"{{\captionsetup{{labelformat=empty}}\input{{{file.name}}}}}")
    return "\n".join([*lines, r"\end{document}", ""])


def _typeset(folder: Path) -> tuple[bool, str]:
    """Run LaTeX; whether it failed, and its log."""
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-file-line-error", "-no-shell-escape"]
    # Lines of the log are not broken, so that an error and its file stay together.
    environment = os.environ | {"SOURCE_DATE_EPOCH": "0", "FORCE_SOURCE_DATE": "1", "max_print_line": "10000"}
    run = subprocess.run(
        [*command, "main.tex"], cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    log = folder / "main.log"
    return run.returncode != 0, (log.read_bytes() if log.exists() else run.stdout).decode("utf-8", "replace")


def _first_error(text: str, files: Sequence[Path], log: str | Path) -> str:
    """The first error of a log, in one line, with the file and line of it."""
    found = re.search(r"^(?:\./)?([^\s:]+):(\d+): (.+)$", text, re.MULTILINE)
    if found is None:
        lines = [line for line in text.splitlines() if line.startswith("!")] or text.splitlines()[-1:] or ["no log"]
        return f"LaTeX failed: {lines[0].lstrip('! ')}; its log is {log}"
    paths = {file.name: file for file in files}
    return f"{paths.get(found[1], found[1])}, line {found[2]}: LaTeX: {found[3].rstrip('.')}; its log is {log}"
