"""Whatever a user names is printed as typed: in LaTeX, figures and pages; and no name is taken for one of ours."""

from __future__ import annotations

import html
import re
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from pydantic import ValidationError
from table_runs import context, measured

from multiflow.config.blocks import ExperimentEntry
from multiflow.datasets.settings import Dataset
from multiflow.results.figures import classes, training
from multiflow.results.figures import fonts as figure_fonts
from multiflow.results.figures.classes import DETECTION, plot_classes
from multiflow.results.figures.training import plot_training_classes
from multiflow.results.pages import write_table_page
from multiflow.results.records import load_doubts
from multiflow.results.tables import (
    TableContext,
    Words,
    cost_table,
    format_text,
    make_table,
    missing_latex,
    write_latex,
    write_pdf,
)
from multiflow.results.tables.latex import escape
from multiflow.results.tables.text import format_csv

NAMES = (
    "Parts $5 to $9",
    "Lot $5_$",
    r"\input{x} {2024} ~^|",
    '_"quoted" `so` a--b---c',
    "<script>alert(1)</script> & [*]",
    "# 100 % {{ name }} <% x %>",
    "M5'' 'x' ,,y,,",
)


def _named(name: str) -> TableContext:
    """A run whose data set, first method and first defect type have this name."""
    run = context()
    first = next(iter(run.methods))
    return replace(run, dataset=name, methods={**run.methods, first: name}, references={name: "A. Author"})


def _metrics(name: str) -> pd.DataFrame:
    metrics = measured()
    return metrics.assign(metric=metrics["metric"].str.replace(":crack", f":{name}", regex=False))


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_as_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    run, metrics = _named(name), _metrics(name)
    for table in (make_table(table, metrics, run) for table in ("table1", "table5", "defect_types")):
        assert name in format_text(table)
        write_table_page(table, tmp_path / "a.html")
        page = (tmp_path / "a.html").read_text(encoding="utf-8")
        assert name in html.unescape(re.sub(r"<[^<>]*>", "", page))
        assert "<script>alert" not in page
    drawn: list[Figure] = []
    for module in (classes, training):
        monkeypatch.setattr(module, "save_figure", lambda figure, *paths: drawn.append(figure))
    plot_classes(metrics, DETECTION, run)
    plot_training_classes({(next(iter(run.methods)), "nut", 0): [(1, 2.0), (2, 1.0)]}, run.methods)
    for figure in drawn:
        figure.savefig(tmp_path / "a.png")
        texts = [text for text in figure.findobj(Text) if name in text.get_text()]
        assert texts
        assert not any(text.get_parse_math() for text in texts)


def test_latex_takes_all_of_them(
    program: Callable[[str], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    program("pdflatex")
    if missing := missing_latex():
        pytest.skip(missing)
    files = []
    for number, name in enumerate(NAMES):
        files.append(tmp_path / f"t{number}.tex")
        write_latex(make_table("defect_types", _metrics(name), _named(name)), files[-1])
    write_pdf(
        [(name, files[:1]) for name in NAMES] + [("all", files)], "; ".join(NAMES), tmp_path / "a.pdf", tmp_path / "log"
    )
    assert (tmp_path / "a.pdf").stat().st_size > 10_000
    assert not caplog.messages
    write_latex(make_table("table1", measured(), _named("螺 5'' Ω")), files[0])
    write_pdf([("all", files[:1])], "a", tmp_path / "a.pdf", tmp_path / "log")
    assert caplog.messages == [
        f"{tmp_path / 'a.pdf'}: LaTeX's fonts lack Ω螺, printed there by their codes; the report and the tables in "
        "HTML and CSV have them, and a name in Latin letters can be printed"
    ]
    assert escape("M5''x'") == "M5'{}'x'"
    assert escape("a--b---c") == "a-{}-b-{}-{}-c"
    # A defect type comes out of a file, which may hold anything.
    assert escape("a\tb\nc\x07 d\u00a0e") == r"a b c\mbox{U+0007} d e"


@pytest.mark.parametrize("fonts", [["STIXGeneral.ttf"], []], ids=["another font", "none"])
def test_letters_that_the_font_lacks_come_from_another_one_or_are_named(
    fonts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = Path(matplotlib.get_data_path(), "fonts/ttf")
    monkeypatch.setattr(figure_fonts, "findSystemFonts", lambda: [str(folder / name) for name in fonts])
    paths = tmp_path / "a.png", tmp_path / "a.pdf"
    with warnings.catch_warnings(record=True) as seen:
        plot_classes(measured(), DETECTION, _named("Lot ⓐ⎴"), *paths)  # of STIX, not of DejaVu
    assert not seen
    lacking = [] if fonts else [
        f"{paths[0]}: no font of this machine has ⎴ⓐ, drawn as boxes; install one that has, such as one of Google's "
        "Noto fonts (on Debian: apt-get install fonts-noto-cjk)"
    ]  # fmt: skip
    assert caplog.messages == lacking
    assert (b"STIXGeneral" in paths[1].read_bytes()) == bool(fonts)


def test_a_font_that_cannot_be_drawn_with_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str) -> None:
        raise NotImplementedError

    path = Path(matplotlib.get_data_path(), "fonts/ttf/STIXGeneral.ttf")
    monkeypatch.setattr(figure_fonts, "findSystemFonts", lambda: [str(path)])
    monkeypatch.setattr(figure_fonts.fontManager, "addfont", refuse)
    figure = Figure()
    figure.text(0, 0, "Lot ⓐ")
    assert figure_fonts.use_other_fonts(figure) == "ⓐ"


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31m", " ", "caf\udce9"])
def test_what_cannot_be_printed_in_a_line_is_no_name(name: str) -> None:
    with pytest.raises(ValidationError, match="expected a line of printable characters"):
        Dataset(name=name, classes=["nut"])
    with pytest.raises(ValidationError, match="expected a line of printable characters"):
        ExperimentEntry(heading=name)
    assert Dataset(name=NAMES[0], classes=["nut"]).name == NAMES[0]


def test_a_class_may_be_called_average(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("average", "nut")
    metrics, run = measured(names), context(names)
    table = make_table("table5", metrics, run)
    assert [row.key for row in table.rows] == ["average", "nut", "(average)"]
    assert [row.headings[0] for row in table.rows] == ["average", "nut", "Average over the classes"]
    first, second, mean = (row.numbers[-1].value for row in table.rows)
    assert mean == pytest.approx((first + second) / 2)
    assert len({line.split(",")[0] for line in format_csv(table).splitlines()}) == 4
    drawn: list[Figure] = []
    monkeypatch.setattr(classes, "save_figure", lambda figure, *paths: drawn.append(figure))
    plot_classes(metrics, DETECTION, run)
    labels = [label.get_text() for label in drawn[0].axes[0].get_yticklabels()]
    assert labels == ["average", "nut", "Average"]
    places = {round(line.get_xdata()[0], 6) for line in drawn[0].axes[0].get_lines() if len(line.get_xdata()) == 1}
    assert {round(value, 6) for value in (first, second, mean)} <= places


def test_a_class_may_be_called_as_the_mean_of_the_costs() -> None:
    names = ("average", "mean")
    rows = cost_table([], replace(context(names), experiments={})).rows
    assert [row.cells[1] for row in rows] == [
        Words("average", "average"), Words("mean", "mean"), Words("mean of the classes", "(average)"),
    ]  # fmt: skip


def test_an_experiment_may_be_called_as_a_column() -> None:
    run = context()
    names = ("metric", "mine", "mine_std", "metric_name")
    run = replace(run, methods={name: name for name in names}, experiments={})
    header = format_csv(make_table("table1", measured(experiments=names), run)).splitlines()[0].split(",")
    assert len(set(header)) == len(header) == 2 + 4 * len(names)
    assert {"metric_value", "mine", "mine_std", "mine_std_value", "mine_std_value_std"} <= set(header)


def test_doubts_about_the_data_stand_below_every_table(tmp_path: Path) -> None:
    paths = []
    for class_name, seed, count in (("hex_nut", 0, 3), ("hex_nut", 1, 3), ("knob", 0, 4)):
        paths.append(tmp_path / f"{class_name}{seed}.json")
        paths[-1].write_text(f'{{"class": "{class_name}", "doubts": {{"its $ is dark": {count}}}}}')
    (tmp_path / "other.json").write_text('{"class": "odd", "doubts": {}}')
    doubts = load_doubts([*paths, tmp_path / "other.json"])
    assert doubts == {"hex_nut": {"its $ is dark": 3}, "knob": {"its $ is dark": 4}}
    run = replace(context(), doubts=doubts)
    note = "Warnings of the data, whose files the logs of flip_views name: its $ is dark (7 times, hex_nut, knob)."
    for name in ("table1", "table2", "table5", "defect_types"):
        assert note in make_table(name, measured(), run).notes
        assert not any("Warnings" in line for line in make_table(name, measured(), context()).notes)
    many = replace(run, doubts={str(number): {"it is dark": 1} for number in range(30)})
    assert "it is dark (30 times, 30 classes)." in "".join(make_table("table1", measured(), many).notes)
