"""Tables: the paper's numbers, averages, typography, footnotes, and what must never be printed."""

from __future__ import annotations

import csv
import re
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from multiflow.config import load_config
from multiflow.published import MULTI_FLOW, published_classes, read_published
from multiflow.tables import (
    TABLES,
    Cell,
    Column,
    ExperimentContext,
    Protocol,
    Row,
    Table,
    TableContext,
    format_text,
    make_table,
    table_context,
    write_csv,
    write_latex,
)
from multiflow.tables.latex import escape, format_latex
from multiflow.tables.model import rank_cells
from multiflow.tables.text import format_csv

COLLECTION = "real-iad-multi-view"
REAL_IAD = tuple(published_classes(COLLECTION))
PARTS = ("hex_nut", "knob", "odd&%_part")
METRICS = ("sample_auroc", "image_auroc", "pixel_auroc", "aupro")
EXPERIMENTS = (
    "multiflow",
    "no_cross_view",
    "top_view_only",
    "neighbor_view_only",
    "self_attention",
    "cross_view_attention",
    "noise_none",
    "noise_uniform",
    "noise_softflow",
    "with_background",
)
PROTOCOL = Protocol("maximum over the views", 256, "threshold, nearest to the feature grid", 12)


def measured(
    classes: tuple[str, ...] = PARTS,
    seeds: tuple[int, ...] = (0, 1, 2),
    experiments: tuple[str, ...] = EXPERIMENTS,
) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = [
        (experiment, class_name, seed, metric, random.uniform(0.5, 0.75), "a.json")
        for experiment in experiments
        for class_name in classes
        for seed in seeds
        for metric in METRICS
    ]
    return pd.DataFrame(rows, columns=["experiment", "class", "seed", "metric", "value", "source"])


def context(
    classes: tuple[str, ...] = PARTS, seeds: tuple[int, ...] = (0, 1, 2), published: str | None = None
) -> TableContext:
    experiment = ExperimentContext(classes, seeds, PROTOCOL)
    name = "Real-IAD" if published else "Rendered parts"
    return TableContext(
        name, "5 views per sample", classes, dict.fromkeys(EXPERIMENTS, experiment), published=published
    )


def cells(table: Table) -> dict[tuple[str, str], Cell]:
    return {
        (row.key, column.key): cell for row in table.rows for column, cell in zip(table.columns, row.cells, strict=True)
    }


# --- published numbers ---


def test_published_averages_follow_from_the_rows() -> None:
    """The mean over the 30 classes is the printed average of every method, in Tables 1, 5 and 6."""
    average = {(row["metric"], row["method"]): row["mean"] for row in read_published(COLLECTION, "table1")}
    for name, metric in (("table5", "sample_auroc"), ("table6", "image_auroc")):
        values: dict[str, dict[str, float]] = {}
        for row in read_published(COLLECTION, name):
            values.setdefault(row["method"], {})[row["class"]] = float(row["mean"])
        assert len(values) == 9
        for method, by_class in values.items():
            printed = by_class.pop("average")
            assert len(by_class) == 30
            rounding = 0.005 if method == MULTI_FLOW else 0.05
            assert statistics.fmean(by_class.values()) == pytest.approx(printed, abs=rounding + 0.006), method
            assert float(average[metric, method]) == printed


@pytest.mark.parametrize("name", TABLES)
def test_published_tables_agree_on_multi_flow(name: str) -> None:
    """The row of the full method in every table is that of Tables 1 and 7."""
    expected = {
        row["metric"]: row["mean"]
        for table in ("table1", "table7")
        for row in read_published(COLLECTION, table)
        if row["method"] == MULTI_FLOW
    }
    if name in ("table2", "table3", "table4", "background_removal"):
        last = read_published(COLLECTION, name)[-1]
        assert {metric: last[metric] for metric in expected if metric in last}.items() <= expected.items()
    else:
        printed = {row["mean"] for row in read_published(COLLECTION, name) if row["method"] == MULTI_FLOW}
        assert printed & set(expected.values())


def test_unknown_published_table() -> None:
    with pytest.raises(ValueError, match="no published table9"):
        read_published(COLLECTION, "table9")


@pytest.mark.parametrize("name", TABLES)
def test_no_published_number_on_other_data(name: str, tmp_path: Path) -> None:
    """Without a collection no cell, column or footnote is published: also if the classes are Real-IAD's."""
    for classes in (PARTS, REAL_IAD):
        table = make_table(name, measured(classes), context(classes))
        assert all(cell.source == "measured" for cell in cells(table).values())
        assert not any(column.published for column in table.columns)
        write_latex(table, tmp_path / "table.tex")
        write_csv(table, tmp_path / "table.csv")
        for text in (
            (tmp_path / "table.tex").read_text(),
            (tmp_path / "table.csv").read_text(),
            format_text(table),
        ):
            assert not re.search("publish|dagger|†|Kruse|PaDiM|95.85|90.27", text, re.IGNORECASE)


@pytest.mark.parametrize("name", TABLES)
def test_published_numbers_are_printed_as_in_the_paper(name: str) -> None:
    table = make_table(name, measured(REAL_IAD), context(REAL_IAD, published=COLLECTION))
    printed = [cell.printed for row in table.rows for cell in row.cells if cell.source == "published"]
    expected = []
    for row in read_published(COLLECTION, name):
        if "mean" in row:
            expected.append(row["mean"] or "-")
        else:
            expected += [row[metric] for metric in METRICS if metric in row]
    assert sorted(printed) == sorted(expected)
    assert any(note.startswith("†") for note in table.notes)
    if "multiflow" in [column.key for column in table.columns]:
        headings = [f"{column.heading} {column.remark}" for column in table.columns[-2:]]
        assert headings == ["Multi-Flow (published)", "Multi-Flow (measured)"]


def test_published_averages_need_all_thirty_classes() -> None:
    some = REAL_IAD[3:6]
    for name in TABLES:
        table = make_table(name, measured(some), context(some, published=COLLECTION))
        published = [cell for cell in cells(table).values() if cell.source == "published"]
        assert any("30 classes and not shown: this run has 3" in note for note in table.notes)
        if name in ("table5", "table6"):
            shown = [(key, cell) for key, cell in cells(table).items() if cell.source == "published"]
            assert len([cell for _, cell in shown if cell.value is not None]) == 3 * 9
            assert all(cell.value is None for (row, _), cell in shown if row == "average")
        else:
            assert published == []


def test_a_class_that_was_not_published() -> None:
    classes = ("pcb", "my_part")
    table = make_table(5, measured(classes), context(classes, published=COLLECTION))
    assert [row.headings for row in table.rows] == [("PCB",), ("my part",), ("Average",)]
    assert cells(table)["pcb", "PaDiM_published"].printed == "88.4"
    assert cells(table)["my_part", "PaDiM_published"].printed == "-"


# --- measured numbers ---


def test_average_is_over_classes_first_then_over_seeds() -> None:
    frame = measured()
    table = make_table(1, frame, context())
    rows = frame[(frame["experiment"] == "multiflow") & (frame["metric"] == "sample_auroc")]
    per_seed = [100 * group["value"].mean() for _, group in rows.groupby("seed")]
    cell = cells(table)["sample_auroc", "multiflow"]
    assert cell.value == pytest.approx(statistics.fmean(per_seed), abs=1e-12)
    assert cell.std == pytest.approx(statistics.stdev(per_seed), abs=1e-12)
    assert cell.n == 3
    per_class = cells(make_table(5, frame, context()))
    assert per_class["average", "multiflow"] == cell
    values = 100 * rows.loc[rows["class"] == "knob", "value"]
    assert per_class["knob", "multiflow"].value == pytest.approx(values.mean())
    assert per_class["knob", "multiflow"].std == pytest.approx(values.std(ddof=1))
    assert statistics.fmean(per_class[name, "multiflow"].value or 0 for name in PARTS) == pytest.approx(cell.value)


def test_one_seed_has_no_std() -> None:
    frame, run = measured(seeds=(7,)), context(seeds=(7,))
    for name in TABLES:
        for cell in cells(make_table(name, frame, run)).values():
            assert cell.std is None
            assert cell.n == 1
    assert "±" not in format_text(make_table(1, frame, run))
    assert "n = 1 seed" in format_text(make_table(1, frame, run))


def test_a_seed_counts_only_with_all_classes() -> None:
    frame = measured()
    lost = frame.drop(
        frame.index[(frame["class"] == "knob") & (frame["seed"] == 1) & (frame["experiment"] == "multiflow")]
    )
    cell = cells(make_table(1, lost, context()))["image_auroc", "multiflow"]
    assert cell.n == 2
    expected = make_table(1, frame[frame["seed"] != 1], context())
    assert cell == replace(cells(expected)["image_auroc", "multiflow"], rank=cell.rank)
    assert cells(make_table(6, lost, context()))["knob", "multiflow"].n == 2
    assert cells(make_table(6, lost, context()))["hex_nut", "multiflow"].n == 3


def test_an_undefined_metric_counts_as_not_there() -> None:
    frame = measured()
    frame.loc[(frame["class"] == "knob") & (frame["metric"] == "aupro"), "value"] = np.nan
    table = make_table(7, frame, context())
    assert cells(table)["aupro", "multiflow"].printed == "-"
    assert cells(table)["pixel_auroc", "multiflow"].n == 3


@pytest.mark.parametrize("name", TABLES)
def test_what_was_never_computed_is_a_dash(name: str) -> None:
    table = make_table(name, measured(experiments=()), context())
    assert {cell.printed for cell in cells(table).values()} == {"-"}
    assert {cell.rank for cell in cells(table).values()} == {0}
    rows = list(csv.DictReader(format_csv(table).splitlines()))
    assert all(row[column.key] == "-" for row in rows for column in table.columns)
    assert " 0" not in re.sub(r"n = 0|\d+ px", "", format_text(table).split("Rendered parts")[0])


@pytest.mark.parametrize("name", TABLES)
def test_the_order_of_rows_and_columns_does_not_matter(name: str) -> None:
    frame = measured()
    expected = make_table(name, frame, context())
    random = np.random.default_rng(1)
    for seed in range(5):
        shuffled = frame.sample(frac=1, random_state=seed)[list(random.permutation(frame.columns))]
        assert make_table(name, shuffled.assign(other=1), context()) == expected


def test_rows_are_those_of_the_paper() -> None:
    keys = {name: [row.key for row in make_table(name, measured(), context()).rows] for name in TABLES}
    assert keys["table1"] == ["sample_auroc", "image_auroc"]
    assert keys["table2"] == ["no_cross_view", "top_view_only", "neighbor_view_only", "multiflow"]
    assert keys["table3"] == ["self_attention", "cross_view_attention", "multiflow"]
    assert keys["table4"] == ["noise_none", "noise_uniform", "noise_softflow", "multiflow"]
    assert keys["table5"] == keys["table6"] == [*PARTS, "average"]
    assert keys["table7"] == ["aupro", "pixel_auroc"]
    assert keys["background_removal"] == ["with_background", "multiflow"]
    assert make_table(2, measured(), context()).rows[1].headings == (True, False)
    with pytest.raises(ValueError, match="there is no table8"):
        make_table(8, measured(), context())


# --- footnotes ---


@pytest.mark.parametrize("name", TABLES)
def test_every_table_prints_its_protocol(name: str) -> None:
    table = make_table(name, measured(), context())
    for text in (format_text(table), format_latex(table)):
        text = " ".join(text.split())
        for part in (
            "Rendered parts (5 views per sample), 3 classes",
            "n = 3 seeds",
            "sample score: maximum over the views",
            "px",
            "foreground: threshold, nearest",
            "12 epochs",
        ):
            assert part in text


def test_experiments_that_differ_are_footnoted_and_other_classes_do_not_compete() -> None:
    run = context()
    experiments = dict(run.experiments)
    experiments["noise_none"] = ExperimentContext(PARTS[:1], (0, 1, 2), PROTOCOL)
    experiments["noise_softflow"] = ExperimentContext(PARTS, (3, 4, 5), replace(PROTOCOL, epochs=40))
    frame = measured()
    frame = frame[(frame["experiment"] != "noise_none") | (frame["class"] == PARTS[0])]
    frame = frame[(frame["experiment"] != "noise_uniform") | (frame["seed"] < 2)]
    frame.loc[frame["experiment"] == "noise_none", "value"] = 0.999
    table = make_table("table4", frame, replace(run, experiments=experiments))
    assert "Row 1 (noise_none): 1 of 3 classes." in table.notes
    assert "Row 2 (noise_uniform): n = 2." in table.notes
    assert "Row 3 (noise_softflow): other seeds; 40 epochs." in table.notes
    assert {cell.rank for cell in table.rows[0].cells} == {0}
    assert not any(note.startswith("Row") for note in make_table("table4", measured(), run).notes)


# --- typography ---


def ranked(*values: tuple[float | None, int]) -> list[int]:
    row = Row("row", ("row",), tuple(Cell(value, digits=digits) for value, digits in values))
    columns = tuple(Column(str(index), str(index)) for index in range(len(values)))
    table = Table("table1", "caption", "metric", ("Metric",), columns, (row,), "row")
    return [cell.rank for cell in rank_cells(table).rows[0].cells]


def test_best_and_runner_up() -> None:
    assert ranked((3.0, 2), (1.0, 2), (2.0, 2)) == [1, 0, 2]
    assert ranked((3.0, 2), (None, 2), (2.0, 2)) == [1, 0, 2]
    assert ranked((3.0, 2)) == [0]
    assert ranked((3.0, 2), (None, 2)) == [0, 0]


def test_ties_are_treated_equally_as_they_are_printed() -> None:
    assert ranked((3.0, 2), (3.0, 1), (2.0, 2), (2.0, 0), (1.0, 2)) == [1, 1, 2, 2, 0]
    assert ranked((95.851, 2), (95.849, 2)) == [1, 1]
    assert ranked((95.86, 2), (95.9, 1), (95.85, 2)) == [2, 1, 0]


def test_best_is_bold_in_latex() -> None:
    frame = measured(experiments=("multiflow", "with_background"))
    frame["value"] = np.where(frame["experiment"] == "multiflow", 0.95, 0.85)
    text = format_latex(make_table("background_removal", frame, context()))
    assert text.count(r"\textbf{95.00} {\scriptsize $\pm$ 0.00}") == 4
    assert text.count(r"\underline{85.00} {\scriptsize $\pm$ 0.00}") == 4
    assert r"-- & \underline" in text
    assert r"\checkmark & \textbf" in text


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("published", [None, COLLECTION])
def test_latex_is_whole(name: str, published: str | None, tmp_path: Path) -> None:
    classes = REAL_IAD if published else PARTS
    table = make_table(name, measured(classes), context(classes, published=published))
    write_latex(table, tmp_path / "table.tex")
    text = (tmp_path / "table.tex").read_text()
    assert re.findall(r"\\(?:begin|end)\{(\w+)\}", text) == [
        "table",
        "tabular",
        "tabular",
        "minipage",
        "minipage",
        "table",
    ]
    assert text.isascii()
    assert rf"\label{{tab:{name}}}" in text
    unescaped = re.sub(r"\\[{}]", "", text)
    assert unescaped.count("{") == unescaped.count("}")
    body = text.split(r"\toprule")[1].split(r"\bottomrule")[0]
    lines = [line for line in body.splitlines() if line.endswith(r"\\")]
    assert len(lines) == 1 + len(table.rows)
    for line in lines:
        assert len(re.findall(r"(?<!\\)&", line)) == len(table.stub) + len(table.columns) - 1


def test_latex_escapes_what_it_is_given() -> None:
    assert escape("50% of a_b & {c} #1 ~^\\") == (
        r"50\% of a\_b \& \{c\} \#1 \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert r"odd\&\% part" in format_latex(make_table(5, measured(), context()))


def test_csv_says_value_std_n_and_source() -> None:
    table = make_table(6, measured(REAL_IAD), context(REAL_IAD, published=COLLECTION))
    rows = {row["class"]: row for row in csv.DictReader(format_csv(table).splitlines())}
    assert list(rows) == [*REAL_IAD, "average"]
    row = rows["phone_battery"]
    assert row["class_name"] == "Phone Battery"
    assert [row[f"Multi-Flow_published{part}"] for part in ("", "_std", "_n", "_source")] == [
        "90.77",
        "0.35",
        "5",
        "published",
    ]
    assert [row[f"PaDiM_published{part}"] for part in ("", "_std", "_n", "_source")] == [
        "81.9",
        "",
        "",
        "published",
    ]
    assert re.fullmatch(r"\d\d\.\d{4}", row["multiflow"])
    assert re.fullmatch(r"\d\.\d{4}", row["multiflow_std"])
    assert (row["multiflow_n"], row["multiflow_source"]) == ("3", "measured")


def test_csv_and_latex_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in TABLES:
        for path in (tmp_path / "a", tmp_path / "b"):
            table = make_table(name, measured(), context())
            write_csv(table, path.with_suffix(".csv"))
            write_latex(table, path.with_suffix(".tex"))
        for suffix in (".csv", ".tex"):
            assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_text_is_aligned() -> None:
    """Headings and numbers of a column end at one place, the mark of the best stands after it."""
    table = make_table(1, measured(REAL_IAD), context(REAL_IAD, published=COLLECTION))
    lines = format_text(table).splitlines()
    assert lines[0] == "Table 1: Average detection results"
    rules = [line for line in lines if set(line) == {"-"}]
    assert len(rules) == 3
    assert len({len(line) for line in rules}) == 1
    heading, *body = (line.ljust(len(rules[0])) for line in (lines[2], lines[4], lines[5]))
    for end in (match.end() for match in re.finditer("†|measured\\)", heading)):
        for line in body:
            assert line[end - 1].isdigit()
            assert line[end : end + 1] in ("", " ", "*", "+")
    assert "95.85 ± 0.02*" in body[0]
    assert "94.9+" in body[0]
    assert all(len(line) <= 110 for line in lines[7:])


# --- the context of a configuration ---


def test_context_of_a_configuration() -> None:
    config = load_config(
        {
            "run": "test",
            "dataset": {"name": "Parts", "root": "/data", "classes": ["a", "b"], "cameras": ["C1"]},
            "foreground": {"method": "threshold"},
            "training": {"epochs": 3},
            "seeds": [1, 2],
            "experiments": {
                "multiflow": {},
                "with_background": {"foreground": {"method": "none"}, "seeds": [1], "classes": ["a"]},
            },
        }
    )
    run = table_context(config)
    assert (run.dataset, run.classes, run.published) == ("Parts", ("a", "b"), None)
    assert run.data_protocol == "realiad_jsons, 1 view per sample, one model per class"
    full, without = run.experiments["multiflow"], run.experiments["with_background"]
    assert (full.classes, full.seeds, full.protocol.epochs) == (("a", "b"), (1, 2), 3)
    assert full.protocol.foreground.startswith("threshold, holes filled, dilated by 8 px")
    assert (without.classes, without.seeds) == (("a",), (1,))
    notes = make_table("background_removal", measured(("a", "b"), (1, 2)), run).notes
    assert any(note.startswith("Row 1 (with_background): 1 of 2 classes") for note in notes)
    assert "foreground: none, the whole image counts" in " ".join(notes)
