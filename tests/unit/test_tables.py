"""Tables: the paper's numbers, averages, typography, footnotes, and what must never be printed."""

from __future__ import annotations

import ast
import csv
import json
import os
import re
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from table_runs import (
    COLLECTION,
    DEFECTS,
    EXPERIMENTS,
    METRICS,
    MULTI_FLOW,
    PARTS,
    PROTOCOL,
    PUBLISHED,
    REAL_IAD,
    TABLES,
    change,
    context,
    measured,
)

import multiflow
from multiflow.base.errors import InputError
from multiflow.config import Config, load_config
from multiflow.methods.multiflow import MultiFlowMethod
from multiflow.methods.multiflow.ablations import ABLATIONS as MULTI_FLOW_ABLATIONS
from multiflow.results.costs import load_costs
from multiflow.results.overview import write_tables
from multiflow.results.pages import write_table_page
from multiflow.results.published import read_published
from multiflow.results.tables import (
    Cell,
    Column,
    Row,
    Table,
    compare_methods,
    context_from_values,
    context_values,
    cost_table,
    format_text,
    interval_table,
    make_table,
    method_tables,
    table_caption,
    table_context,
    table_place,
    table_reading,
    table_runs,
    tables_of,
    write_csv,
    write_latex,
)
from multiflow.results.tables.latex import escape, format_latex
from multiflow.results.tables.model import rank_cells
from multiflow.results.tables.text import format_csv

SOURCE = str(Path(multiflow.__file__).parents[1])
CONFIG = Path(__file__).parents[2] / "config"


def cells(table: Table) -> dict[tuple[str, str], Cell]:
    return {
        (row.key, column.key): cell
        for row in table.rows
        for column, cell in zip(table.columns, row.numbers, strict=True)
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


@pytest.mark.parametrize("name", PUBLISHED)
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
            assert not re.search("publish|dagger|†|Kruse & Rosenhahn 2025|PaDiM|95.85|90.27", text, re.IGNORECASE)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers_are_printed_as_in_the_paper(name: str) -> None:
    table = make_table(name, measured(REAL_IAD), context(REAL_IAD, published=COLLECTION))
    # A row that the paper does not have.
    rows = [row for row in table.rows if row.key != "background_ignored"]
    printed = [cell.printed for row in rows for cell in row.numbers if cell.source == "published"]
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


def test_another_protocol_than_the_papers_stands_below_published_numbers() -> None:
    values = yaml.safe_load((CONFIG / "config.yaml").read_text())
    assert table_context(load_config(values)).experiments["multiflow"].departures == ()
    values["methods"]["multiflow"]["training"]["epochs"] = 1
    values["segmentation"] = {"test_time_flip": False, "batch_size": 2}
    values["evaluation"] = {"sample_score": "mean", "strips": 500}
    run = table_context(load_config(values))
    note = (
        "The protocol here is not the paper's (in brackets): segmentation.test_time_flip False (True), "
        "training.epochs 1 (112), "
        "evaluation.sample_score mean (max)."
    )
    assert note in make_table(1, measured(REAL_IAD), run).notes
    assert note not in make_table(1, measured(REAL_IAD), replace(run, published=None)).notes
    # An ablation table says it of the default, whose row is the paper's method.
    assert note in make_table(4, measured(REAL_IAD), run).notes


def test_only_of_methods_that_stand_beside_published_ones_it_is_said_that_their_protocol_is_another(
    tmp_path: Path,
) -> None:
    real_iad = {"name": "Real-IAD", "classes": list(REAL_IAD), "published": COLLECTION}
    run = table_context(two_methods(tmp_path, dataset=real_iad))
    frame = measured(REAL_IAD, (0, 1), ("multiflow", "nearest", "again"))
    notes = [note for note in make_table(1, frame, run).notes if "not the paper's" in note]
    # The first experiment of the configuration has the foreground of another segmentation, as has this one.
    shared = "foreground.method threshold (mvanet)"
    assert notes == [
        f"The protocol of Multi-Flow (again) is not the paper's (in brackets): {shared}, training.epochs 40 (112).",
        f"The protocol of Multi-Flow (multiflow) is not the paper's (in brackets): {shared}.",
    ]
    # Of the first experiment alone it is said only where it is a method of the tables.
    alone = make_table(1, frame, replace(run, methods={"nearest": "Nearest feature"}))
    assert not any("not the paper's" in note for note in alone.notes)


def test_settings_of_one_class_are_departures_on_it() -> None:
    real_iad = {"name": "Real-IAD", "classes": list(REAL_IAD), "published": COLLECTION}
    experiments = {"multiflow": {"by_class": {"usb": {"training": {"epochs": 3}}}}}
    run = table_context(configuration(dataset=real_iad, experiments=experiments, foreground={"method": "mvanet"}))
    assert run.experiments["multiflow"].departures == ("training.epochs 3 (112) on usb",)


def test_published_averages_need_all_thirty_classes() -> None:
    some = REAL_IAD[3:6]
    for name in PUBLISHED:
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
    assert [row.headings for row in table.rows] == [("PCB",), ("my_part",), ("Average",)]
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
    run, frame = context(), measured()
    lost = frame.drop(
        frame.index[(frame["class"] == "knob") & (frame["seed"] == 1) & (frame["experiment"] == "multiflow")]
    )
    table = make_table(1, lost, run)
    cell = cells(table)["image_auroc", "multiflow"]
    assert cell.n == 2
    assert "Not finished: 2 of 3 seeds." in table.notes
    expected = make_table(1, frame[frame["seed"] != 1], run)
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
    assert {cell.printed for cell in cells(table).values()} <= {"-"}
    assert {cell.rank for cell in cells(table).values()} <= {0}
    assert "Not finished: no run." in table.notes
    rows = list(csv.DictReader(format_csv(table).splitlines()))
    assert all(row[column.key] == "-" for row in rows for column in table.columns)
    assert "0.0" not in format_text(table)


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
    assert keys["background_removal"] == ["with_background", "multiflow", "background_ignored"]
    assert keys["sample_rules"] == ["sample_auroc_max", "sample_auroc_mean", "sample_auroc_top1"]
    assert keys["defect_types"] == list(DEFECTS)
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
    experiments["noise_none"] = replace(experiments["noise_none"], classes=PARTS[:1])
    experiments["noise_softflow"] = replace(
        experiments["noise_softflow"], seeds=(3, 4, 5), protocol=PROTOCOL | {"training": "40 epochs"}
    )
    experiments["noise_uniform"] = replace(experiments["noise_uniform"], seeds=(0, 1))
    frame = measured()
    frame = frame[(frame["experiment"] != "noise_none") | (frame["class"] == PARTS[0])]
    frame = frame[(frame["experiment"] != "noise_uniform") | (frame["seed"] < 2)]
    frame.loc[frame["experiment"] == "noise_none", "value"] = 0.999
    table = make_table("table4", frame, replace(run, experiments=experiments))
    assert "Row 1 (noise_none): 1 of 3 classes." in table.notes
    assert "Row 2 (noise_uniform): n = 2." in table.notes
    assert not any(note.startswith("Not finished") for note in table.notes)
    assert "Row 3 (noise_softflow): other seeds; 40 epochs." in table.notes
    assert {cell.rank for cell in table.rows[0].cells} == {0}
    assert not any(note.startswith("Row") for note in make_table("table4", measured(), run).notes)


def test_every_table_of_methods_says_how_its_methods_are_cited(tmp_path: Path) -> None:
    run = table_context(two_methods(tmp_path))
    frame = measured(PARTS[:2], (0, 1), ("multiflow", "nearest", "again"))
    for name in ("table1", "table5", "table6", "table7", "sample_rules", "detection_metrics", "defect_types"):
        notes = make_table(name, frame, run).notes
        assert "Nearest feature: nobody." in notes
        assert f"Multi-Flow (again), Multi-Flow (multiflow): {MultiFlowMethod.reference}." in notes


def test_a_method_that_reads_no_foreground_says_so_beside_one_that_does(tmp_path: Path) -> None:
    run = table_context(two_methods(tmp_path))
    frame = measured(PARTS[:2], (0, 1), ("multiflow", "nearest", "again"))
    for order in (["multiflow", "nearest"], ["nearest", "multiflow"]):
        methods = {name: run.methods[name] for name in order}
        notes = make_table(1, frame, replace(run, methods=methods)).notes
        assert any("Nearest feature: " in note and "foreground: not read" in note for note in notes)


def test_other_settings_for_a_class_come_from_the_experiments_base_too() -> None:
    experiments = {
        "multiflow": {"by_class": {PARTS[0]: {"training": {"epochs": 3}}}},
        "noise_none": {"base": "multiflow", "network": {"noise": "none"}},
        "noise_uniform": {"base": "multiflow", "network": {"noise": "uniform"}, "classes": [PARTS[1]]},
    }
    run = table_context(configuration(experiments=experiments))
    phrases = {name: known.protocol.get("by_class") for name, known in run.experiments.items()}
    own = f"other settings for {PARTS[0]}"
    assert phrases == {"multiflow": own, "noise_none": own, "noise_uniform": None}


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
    assert "\n- & its own & \\underline" in text
    assert "--" not in text
    assert r"\checkmark & 0 & \textbf" in text


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
    assert r"odd\&\%\_part" in format_latex(make_table(5, measured(), context()))


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


def test_title() -> None:
    assert format_text(make_table(3, measured(), context())).startswith("Table 3: Fusion of the views")
    assert format_text(make_table("background_removal", measured(), context())).startswith(
        "Removal of the background\n"
    )


# --- rows are what the experiments' settings are ---

ABLATIONS = ("table2", "table3", "table4", "background_removal")
PAPER_EXPERIMENTS: dict[str, Any] = {
    "multiflow": {},
    "no_cross_view": {"network": {"connections": "none"}},
    "top_view_only": {"network": {"connections": "top"}},
    "neighbor_view_only": {"network": {"connections": "neighbors"}},
    "self_attention": {"network": {"fusion": "self_attention"}},
    "cross_view_attention": {"network": {"fusion": "cross_view_attention"}},
    "noise_none": {"network": {"noise": "none"}},
    "noise_uniform": {"network": {"noise": "uniform"}},
    "noise_softflow": {"network": {"noise": "softflow"}},
    "with_background": {"foreground": {"method": "none"}},
    "background_ignored": {"foreground": {"background": "ignored"}},
}


def configuration(
    cameras: int = 5, experiments: dict[str, Any] | None = None, method: dict[str, Any] | None = None, **blocks: Any
) -> Config:
    names = [f"C{number}" for number in range(1, cameras + 1)]
    dataset = {"name": "Parts", "root": "/data", "classes": list(PARTS[:2]), "cameras": names}
    values: dict[str, Any] = {
        "run": "test",
        "dataset": dataset | blocks.pop("dataset", {}),
        "features": {"b5": {}},
        "foreground": {"method": "threshold"},
        "methods": {"multiflow": method or {}},
        "experiments": PAPER_EXPERIMENTS if experiments is None else experiments,
    }
    return load_config(values | blocks)


def empty_rows(name: str, config: Config) -> list[str]:
    """Rows without a number; each has one footnote that says so, and no other row has one."""
    table = make_table(name, measured(PARTS[:2]), table_context(config))
    empty = [row.key for row in table.rows if all(cell.printed == "-" for cell in row.cells)]
    explained = [note for note in table.notes if "so it is not this row" in note]
    assert [note.split("(")[1].split(")")[0] for note in explained] == empty
    assert all(cell.value is not None for row in table.rows if row.key not in empty for cell in row.cells)
    assert not any(note.startswith("-: not computed") for note in table.notes)
    return empty


def test_the_papers_experiments_are_their_rows() -> None:
    for name in ABLATIONS:
        assert empty_rows(name, configuration()) == []


def test_a_setting_of_the_whole_run_takes_rows_away() -> None:
    no_masks = configuration(foreground={"method": "none"})
    assert empty_rows("background_removal", no_masks) == ["multiflow", "background_ignored"]
    assert empty_rows("table4", no_masks) == []

    unconnected = configuration(method={"network": {"connections": "none"}})
    assert empty_rows("table2", unconnected) == ["multiflow"]
    assert empty_rows("table3", unconnected) == ["self_attention", "cross_view_attention", "multiflow"]
    assert empty_rows("table4", unconnected) == []
    table = make_table(2, measured(PARTS[:2]), table_context(unconnected))
    assert "Row 4 (multiflow): runs with connections none here, so it is not this row." in table.notes
    assert any(note.startswith("Protocol of no_cross_view:") for note in table.notes)

    assert empty_rows("table3", configuration(method={"network": {"fusion": "self_attention"}})) == ["multiflow"]
    assert empty_rows("table4", configuration(method={"network": {"noise": "softflow"}})) == ["multiflow"]


def test_an_experiment_with_other_settings_than_its_name() -> None:
    experiments = PAPER_EXPERIMENTS | {"noise_uniform": {}, "with_background": {}, "self_attention": {}}
    config = configuration(experiments=experiments)
    assert empty_rows("table4", config) == ["noise_uniform"]
    assert empty_rows("table3", config) == ["self_attention"]
    assert empty_rows("background_removal", config) == ["with_background"]
    table = make_table("background_removal", measured(PARTS[:2]), table_context(config))
    assert "Row 1 (with_background): runs with foreground threshold here, so it is not this row." in table.notes
    assert r"Row 2 (noise\_uniform): runs with noise simplenet here" in format_latex(
        make_table(4, measured(PARTS[:2]), table_context(config))
    )


def test_a_row_must_be_what_it_says_on_every_class() -> None:
    first, second = PARTS[:2]

    def wrong(classes: list[str] | None = None, **noise: str) -> dict[str, str]:
        """Contradictions of an experiment with uniform noise but on some classes, and of one that is based on it."""
        by_class = {name: {"network": {"noise": value}} for name, value in noise.items()}
        base = {"network": {"noise": "uniform"}, "by_class": by_class, "classes": classes}
        own = {"multiflow": {}, "noise_uniform": base, "noise_none": {"base": "noise_uniform"}}
        return table_context(configuration(experiments=own)).contradictions("table4")

    assert wrong() == {"noise_none": "noise uniform"}
    found = wrong(**{second: "softflow"})
    assert found == {"noise_none": "noise uniform", "noise_uniform": f"noise softflow on {second}"}
    # What holds on no class that it runs on counts for nothing.
    assert wrong([first], **{second: "softflow"}) == {"noise_none": "noise uniform"}
    assert wrong(**{first: "none", second: "none"}) == {"noise_uniform": f"noise none on {first}, {second}"}


def test_few_cameras_have_few_connections() -> None:
    one = configuration(cameras=1)
    assert empty_rows("table2", one) == ["top_view_only", "neighbor_view_only", "multiflow"]
    assert empty_rows("table3", one) == ["self_attention", "cross_view_attention", "multiflow"]
    assert empty_rows("table4", one) == empty_rows("background_removal", one) == []
    # One side view has no neighbour.
    assert empty_rows("table2", configuration(cameras=2)) == ["neighbor_view_only", "multiflow"]
    assert empty_rows("table3", configuration(cameras=2)) == []
    assert empty_rows("table2", configuration(cameras=3)) == []


def test_published_numbers_stay_where_a_measured_row_is_taken_away() -> None:
    run = context(REAL_IAD, published=COLLECTION)
    row = make_table(4, measured(REAL_IAD), change(run, "multiflow", noise="none")).rows[-1]
    assert [cell.printed for cell in row.numbers] == [*"----", "87.91", "96.47", "95.85", "90.27"]


def test_experiments_that_the_context_does_not_know_keep_their_rows() -> None:
    for name in ABLATIONS:
        table = make_table(name, measured(), replace(context(), experiments={}))
        assert all(cell.value is not None for row in table.rows for cell in row.numbers)


# --- the context of a configuration ---


def test_context_values_are_plain_and_round_trip() -> None:
    config = configuration(dataset={"name": "Parts {of} 50 % steel"})
    values = context_values(config)
    assert json.loads(json.dumps(values)) == values
    # Snakemake compares the repr.
    assert ast.literal_eval(repr(values)) == values
    assert context_from_values(values) == table_context(config)
    assert context_values(configuration(dataset={"name": "Parts {of} 50 % steel"})) == values


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": {"name": "Other parts"}},
        {"dataset": {"classes": list(reversed(PARTS[:2]))}},
        {"cameras": 1},
        {"seeds": [7]},
        {"method": {"training": {"epochs": 3}}},
        {"method": {"network": {"noise": "none"}}},
        {"evaluation": {"sample_score": "top1"}},
        {"experiments": {"multiflow": {}}},
    ],
)
def test_what_the_tables_print_changes_the_values(change: dict[str, Any]) -> None:
    assert repr(context_values(configuration(**change))) != repr(context_values(configuration()))


def test_published_numbers_change_the_values() -> None:
    real_iad = {"name": "Real-IAD", "classes": list(REAL_IAD[:2])}
    beside = configuration(dataset=real_iad | {"published": COLLECTION})
    assert context_values(beside) != context_values(configuration(dataset=real_iad))
    assert context_from_values(context_values(beside)).published == COLLECTION


def test_tables_are_imported_without_the_heavy_libraries() -> None:
    code = (
        "import sys, multiflow.results.tables; print([m for m in ('torch', 'pandas', 'sklearn') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": SOURCE})
    assert run.stdout == "[]\n", run.stderr


def test_context_of_a_configuration() -> None:
    experiments = {
        "multiflow": {},
        "with_background": {"foreground": {"method": "none"}, "seeds": [1], "classes": ["a"]},
    }
    config = configuration(
        cameras=1,
        experiments=experiments,
        dataset={"classes": ["a", "b"]},
        method={"training": {"epochs": 3}},
        seeds=[1, 2],
    )
    run = table_context(config)
    assert (run.dataset, run.classes, run.published) == ("Parts", ("a", "b"), None)
    assert run.data_protocol == "realiad_jsons, 1 view per sample, one model per class"
    full, without = run.experiments["multiflow"], run.experiments["with_background"]
    assert (full.classes, full.seeds, full.protocol["training"]) == (("a", "b"), (1, 2), "3 epochs")
    assert full.protocol["foreground"].startswith("foreground: threshold, holes filled, dilated by 8 px at 1024 px")
    assert (without.classes, without.seeds) == (("a",), (1,))
    notes = make_table("background_removal", measured(("a", "b"), (1, 2)), run).notes
    assert any(note.startswith("Row 1 (with_background): 1 of 2 classes") for note in notes)
    assert "foreground: none, the whole image counts" in " ".join(notes)


# --- methods ---

OWN_METHOD = """
from multiflow.base.settings import NEUTRAL, Block
from multiflow.methods.contract import Needs
from pydantic import Field


class Settings(Block):
    neighbors: int = 1
    workers: int = Field(1, json_schema_extra=NEUTRAL)


class Nearest:
    heading = "Nearest feature"
    reference = "nobody"
    Settings = Settings

    def needs(self, settings):
        return Needs(features=("b5",))

    def train(self, samples, settings, seed, work): ...

    def scorer(self, model, settings, device): ...
"""


def two_methods(tmp_path: Path, **changes: Any) -> Config:
    path = tmp_path / "nearest.py"
    path.write_text(OWN_METHOD)
    experiments: dict[str, Any] = {
        "multiflow": {},
        "nearest": {"method": f"{path}:Nearest", "neighbors": 3, "workers": 2},
        "no_cross_view": {"network": {"connections": "none"}},
        "again": {"heading": "Multi-Flow", "training": {"epochs": 40}, "seeds": [0]},
    }
    methods = {"methods": ["nearest", "again", "multiflow"]}
    return configuration(experiments=experiments, tables=methods, seeds=[0, 1], **changes)


def test_a_method_of_ones_own_is_a_column_of_every_table_of_methods(tmp_path: Path) -> None:
    config = two_methods(tmp_path)
    run = context_from_values(context_values(config))
    frame = measured(PARTS[:2], (0, 1), ("multiflow", "nearest", "again"))
    frame = frame[(frame["experiment"] != "again") | (frame["seed"] == 0)]
    for name in ("table1", "table5", "table6", "table7", "sample_rules", "detection_metrics"):
        table = make_table(name, frame, run)
        assert [column.key for column in table.columns] == ["nearest", "again", "multiflow"]
        headings = ["Nearest feature", "Multi-Flow (again)", "Multi-Flow (multiflow)"]
        assert [column.heading for column in table.columns] == headings
        assert all(cell.value is not None for cell in cells(table).values())
        assert any(
            note.startswith("Protocol of Nearest feature: sample score") and note.endswith("settings: neighbors 3.")
            for note in table.notes
        )
        again = next(note for note in table.notes if note.startswith("Multi-Flow (again): "))
        assert "n = 1" in again
        assert "40 epochs" in again
    defects = make_table("defect_types", frame, run)
    assert [column.key for column in defects.columns[:3]] == [
        "nearest_sample_auroc", "nearest_image_auroc", "again_sample_auroc",
    ]  # fmt: skip


def test_measured_columns_stand_beside_published_ones_of_the_same_method(tmp_path: Path) -> None:
    real_iad = {"name": "Real-IAD", "classes": list(REAL_IAD), "published": COLLECTION}
    run = table_context(two_methods(tmp_path, dataset=real_iad))
    table = make_table(1, measured(REAL_IAD, (0, 1), ("multiflow", "nearest", "again")), run)
    printed = [f"{column.heading} {column.remark}".strip() for column in table.columns]
    assert printed[-4:] == [
        "Multi-Flow (published)",
        "Nearest feature (measured)",
        "Multi-Flow (again) (measured)",
        "Multi-Flow (multiflow) (measured)",
    ]


def test_which_tables_a_run_has_and_which_runs_they_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tables_of(configuration()) == list(TABLES)
    config = two_methods(tmp_path)
    shown = {
        (name, seed) for name, seeds in (("multiflow", (0, 1)), ("nearest", (0, 1)), ("again", (0,))) for seed in seeds
    }
    for name in ("table1", "table5", "table6", "table7", "sample_rules", "detection_metrics", "defect_types"):
        runs = table_runs(name, config)
        assert {(experiment, seed) for experiment, _, seed in runs} == shown
        assert len(runs) == len(set(runs)) == 2 * len(shown)
    assert {name for name, *_ in table_runs("table2", config)} == {"multiflow", "no_cross_view"}
    assert {name for name, *_ in table_runs("ablation_tests", config)} == {"multiflow", "no_cross_view"}
    assert table_runs("comparison", config) == []
    # Its experiment is something else here, and the row is empty.
    other = configuration(experiments=PAPER_EXPERIMENTS | {"noise_none": {}})
    assert "noise_none" not in {name for name, *_ in table_runs("table4", other)}
    with pytest.raises(ValueError, match="there is no table9"):
        table_runs("table9", config)
    with monkeypatch.context() as patch:
        patch.setattr(MultiFlowMethod, "ablations", {"of all/parts": MULTI_FLOW_ABLATIONS["table4"]})
        with pytest.raises(InputError, match=r"names of letters, digits, _ and -, found 'of all/parts'; rename it$"):
            tables_of(config)
    # Without Multi-Flow there are no ablations of it.
    nearest = {"nearest": {"method": f"{tmp_path / 'nearest.py'}:Nearest"}}
    assert tables_of(configuration(experiments=nearest)) == [
        "table1", "table5", "table6", "table7", "sample_rules", "detection_metrics", "defect_types",
    ]  # fmt: skip
    assert (table_place("table2", config), table_place("background_removal", config)) == ("Table 2", "Section 4.5.2")
    assert table_caption("table4", table_context(config)) == "Noise of the training features"


def test_every_table_says_how_it_is_read_and_an_ablation_table_in_its_methods_words() -> None:
    config = configuration()
    assert all(table_reading(name, config).endswith(".") for name in tables_of(config))
    assert table_reading("table4", config) == MULTI_FLOW_ABLATIONS["table4"].reading


# --- new tables ---


def test_sample_rules_are_side_by_side() -> None:
    frame = measured()
    table = make_table("sample_rules", frame, context())
    for rule in ("max", "mean", "top1"):
        rows = frame[(frame["experiment"] == "multiflow") & (frame["metric"] == f"sample_auroc_{rule}")]
        assert cells(table)[f"sample_auroc_{rule}", "multiflow"].value == pytest.approx(100 * rows["value"].mean())
    assert [row.headings[0] for row in table.rows][:2] == ["Maximum over the views", "Mean over the views' maxima"]


def test_a_defect_type_is_averaged_over_the_classes_that_have_it() -> None:
    frame = measured()
    frame = frame[~((frame["metric"] == "image_auroc:crack") & (frame["class"] == "knob"))]
    frame.loc[(frame["metric"] == "sample_auroc:crack") & (frame["class"] == "knob"), "value"] = np.nan
    table = make_table("defect_types", frame, context())
    assert [row.headings for row in table.rows] == [("crack", "2"), ("missing_part", "3")]
    rows = frame[(frame["experiment"] == "multiflow") & (frame["metric"] == "sample_auroc:crack")]
    cell = cells(table)["crack", "multiflow_sample_auroc"]
    assert cell.value == pytest.approx(100 * rows.loc[rows["class"] != "knob", "value"].mean())
    assert cell.n == 3


def test_methods_compete_by_defect_type_and_metric() -> None:
    run = replace(context(), methods={"multiflow": "A", "noise_none": "B"})
    for row in make_table("defect_types", measured(), run).rows:
        assert sorted(cell.rank for cell in row.numbers) == [1, 1, 2, 2]
        assert {row.numbers[0].rank, row.numbers[2].rank} == {1, 2}


# --- runs that are not finished ---


def test_an_average_of_some_classes_is_printed_with_a_word_and_does_not_compete() -> None:
    frame = measured()
    knob = frame["class"] == "knob"
    frame = frame[~(knob & (frame["experiment"] == "multiflow"))]
    table = make_table(2, frame, context())
    cell = cells(table)["multiflow", "sample_auroc"]
    rows = frame[(frame["experiment"] == "multiflow") & (frame["metric"] == "sample_auroc")]
    assert cell.value == pytest.approx(100 * rows["value"].mean())
    assert (cell.n, cell.rank, cell.competes) == (3, 0, False)
    assert "Not finished: multiflow: 2 of 3 classes; an average is over the finished classes." in table.notes
    classes = make_table(5, frame, context())
    assert cells(classes)["knob", "multiflow"].printed == "-"
    assert cells(classes)["average", "multiflow"].value == cell.value
    assert "Not finished: 2 of 3 classes; an average is over the finished classes." in classes.notes


def test_classes_and_seeds_that_are_missing_are_counted() -> None:
    frame = measured()
    own = frame["experiment"] == "multiflow"
    # Seed 0 has two classes, seed 1 one, seed 2 none.
    gone = own & (
        (frame["class"] == PARTS[2]) | (frame["seed"] == 2) | ((frame["class"] == PARTS[1]) & (frame["seed"] == 1))
    )
    frame = frame[~gone]
    table = make_table(1, frame, context())
    note = "Not finished: 2 of 3 classes, 1 of 3 seeds; an average is over the finished classes."
    assert note in table.notes
    rows = frame[(frame["experiment"] == "multiflow") & (frame["metric"] == "image_auroc") & (frame["seed"] == 0)]
    assert cells(table)["image_auroc", "multiflow"].value == pytest.approx(100 * rows["value"].mean())
    some = make_table(4, frame[frame["experiment"] != "noise_none"], context())
    assert any("noise_none: no run" in note and "multiflow: 2 of 3 classes, 1 of 3" in note for note in some.notes)


@pytest.mark.parametrize("name", TABLES)
def test_nothing_is_said_of_a_finished_run(name: str) -> None:
    assert not any(note.startswith("Not finished") for note in make_table(name, measured(), context()).notes)


def write_runs(frame: pd.DataFrame, config: Config, folder: Path) -> None:
    """Write the JSON of each run, as made with the settings of a configuration."""
    for (experiment, class_name, seed), rows in frame.groupby(["experiment", "class", "seed"]):
        path = folder / "metrics" / str(experiment) / str(class_name) / f"seed{seed}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {
            "experiment": experiment,
            "class": class_name,
            "seed": seed,
            "metrics": dict(zip(rows["metric"], rows["value"], strict=True)),
            "provenance": {"config": config.decided_by(config.experiment(str(experiment), str(class_name)))},
        }
        path.write_text(json.dumps(record))


def test_runs_of_other_settings_are_left_out_and_counted(tmp_path: Path) -> None:
    """Of two classes one still has four epochs, and one run does not say what it was made with."""
    epochs = {"training": {"epochs": 5}}
    frame = measured(PARTS[:2], (0, 1))
    now = configuration(seeds=[0, 1], method=epochs)
    write_runs(frame, configuration(seeds=[0, 1], method={"training": {"epochs": 4}}), tmp_path)
    write_runs(frame[frame["class"] == PARTS[0]], now, tmp_path)
    write_runs(frame[frame["experiment"] == "with_background"], now, tmp_path)
    text = write_tables(now, tmp_path)
    table = (tmp_path / "tables_so_far/table1.tex").read_text()
    assert "2 runs of other settings are left out." in table
    assert "Not finished: 1 of 2 classes" in table
    own = (frame["experiment"] == "multiflow") & (frame["metric"] == "sample_auroc") & (frame["class"] == PARTS[0])
    row = next(csv.DictReader((tmp_path / "tables_so_far/table1.csv").read_text().splitlines()))
    assert float(row["multiflow"]) == pytest.approx(100 * frame[own]["value"].mean(), abs=1e-4)
    assert "8 runs of other settings are left out." in (tmp_path / "tables_so_far/table2.tex").read_text()
    assert "20 runs of other settings are left out." in (tmp_path / "tables_so_far/ablation_tests.tex").read_text()
    assert "24 of 44 runs are finished. 20 runs of other settings are left out." in text
    # What decides no number counts for nothing.
    write_runs(frame, now, tmp_path)
    elsewhere = configuration(seeds=[0, 1], method=epochs, compute={"threads": 3})
    assert "left out" not in write_tables(elsewhere, tmp_path)
    path = tmp_path / f"metrics/multiflow/{PARTS[0]}/seed0.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "provenance": {}}))
    assert "43 of 44 runs are finished. 1 run of other settings is left out." in write_tables(now, tmp_path)


def test_files_are_those_of_the_workflow_and_stay_as_they_are_where_nothing_changed(tmp_path: Path) -> None:
    """The workflow gives a table the runs that it shows alone: what others have beside them must change nothing."""
    experiments = {"multiflow": {"classes": [PARTS[0]]}, "no_cross_view": {"network": {"connections": "none"}}}
    config = configuration(seeds=[0, 1], experiments=experiments)
    frame = measured(PARTS[:2], (0, 1), ("multiflow", "no_cross_view"))
    frame = frame[(frame["experiment"] != "multiflow") | (frame["class"] == PARTS[0])]
    frame = frame[(frame["metric"] != "sample_auroc:crack") | (frame["class"] == PARTS[1])]
    frame = frame[(frame["metric"] != "image_auroc:crack") | (frame["class"] == PARTS[1])]
    write_runs(frame, config, tmp_path)
    for name in tables_of(config):
        shown = {experiment for experiment, *_ in table_runs(name, config)}
        table = make_table(name, frame[frame["experiment"].isin(shown)], table_context(config))
        write_csv(table, tmp_path / f"tables_so_far/{name}.csv")
        write_latex(table, tmp_path / f"tables_so_far/{name}.tex")
        write_table_page(table, tmp_path / f"tables_so_far/{name}.html")
    run = table_context(config)
    own = frame[frame["experiment"].isin(run.methods)]
    ranks, pairs, class_ranks = method_tables(compare_methods(own, run), run)
    shown = [entry for entry in config.runs if entry[0] in run.methods]
    costs = cost_table(load_costs(config, tmp_path, shown), run)
    for tables in ([ranks, pairs, class_ranks], [interval_table(own, {}, run)], [costs]):
        write_latex(tables, tmp_path / f"tables_so_far/{tables[0].name}.tex")
        write_table_page(tables, tmp_path / f"tables_so_far/{tables[0].name}.html")
        for table in tables:
            write_csv(table, tmp_path / f"tables_so_far/{table.name}.csv")
    for path in (tmp_path / "tables_so_far").iterdir():
        os.utime(path, (1, 1))
    write_tables(config, tmp_path)
    made = {"ablation_tests", "comparison"}  # from whatever there is
    for path in (tmp_path / "tables_so_far").iterdir():
        assert path.stem in made or path.stat().st_mtime == 1, path.name
    frame.loc[(frame["experiment"] == "no_cross_view"), "value"] = 0.9
    write_runs(frame, config, tmp_path)
    write_tables(config, tmp_path)
    assert (tmp_path / "tables_so_far/table2.html").stat().st_mtime > 1
    assert (tmp_path / "tables_so_far/table1.html").stat().st_mtime == 1


def test_tables_are_written_from_whatever_is_finished(tmp_path: Path) -> None:
    config = configuration(seeds=[0, 1])
    frame = measured(PARTS[:2], (0, 1))
    frame = frame[(frame["experiment"] != "noise_none") & (frame["class"] == PARTS[0])]
    write_runs(frame, config, tmp_path)
    text = write_tables(config, tmp_path)
    assert "Table 1: Average detection results" in text
    assert "Not finished: 1 of 2 classes; an average is over the finished classes." in text
    assert f"{2 * (len(EXPERIMENTS) - 1)} of {4 * len(EXPERIMENTS)} runs are finished." in text
    assert "Comparison with the paper: not comparable" in text
    names = [*TABLES, "ablation_tests", "comparison", "method_ranks", "auroc_intervals", "costs"]
    files = {f"{name}.{ending}" for name in names for ending in ("csv", "tex", "html")}
    files |= {"method_tests.csv", "class_ranks.csv"}
    assert {path.name for path in (tmp_path / "tables_so_far").iterdir()} == files
    assert "No test can decide anything here: there is nothing to compare with." in text
    assert "Nothing was noted yet." in text
    row = next(csv.DictReader((tmp_path / "tables_so_far/table1.csv").read_text().splitlines()))
    expected = frame[(frame["experiment"] == "multiflow") & (frame["metric"] == "sample_auroc")]["value"].mean()
    assert float(row["multiflow"]) == pytest.approx(100 * expected, abs=1e-4)


def test_tables_of_a_run_without_any_result_say_so(tmp_path: Path) -> None:
    text = write_tables(configuration(), tmp_path)
    assert "Not finished: no run." in text
    assert "0 of 110 runs are finished." in text


def test_two_ablation_tables_of_one_name_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "nearest.py"
    path.write_text(f"{OWN_METHOD}\n    from multiflow.methods.multiflow.ablations import ABLATIONS as ablations\n")
    config = configuration(experiments={"multiflow": {}, "nearest": {"method": f"{path}:Nearest"}})
    with pytest.raises(InputError, match=r"Nearest feature and another method of this run both .* table2; rename"):
        tables_of(config)
