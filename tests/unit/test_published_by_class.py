"""Tables by class beside published figures of further data sets."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from multiflow.base.errors import InputError
from multiflow.config import Config, load_config
from multiflow.results.published import published_classes, read_published
from multiflow.results.published.by_class import by_class_tables
from multiflow.results.tables import (
    TableContext,
    compare_with_paper,
    comparison_tables,
    main_table,
    make_table,
    table_context,
    table_experiments,
    tables_of,
    write_latex,
)
from multiflow.results.tables.text import format_csv, format_text

METRICS = ("image_auroc", "pixel_auroc", "pixel_ap", "aupro")
CLASSES = {"mvtec-ad": 15, "btad": 3}
CONFIG = Path(__file__).parents[2] / "config/config.yaml"


def config_of(collection: str, published_as: str | None = None, **dataset: Any) -> Config:
    """A run of CFLOW-AD by the last epoch and by the best on the test set."""
    values = yaml.safe_load(CONFIG.read_text())
    values["dataset"] |= {"name": "Textures", "cameras": ["C1"], "flips": None, "published": collection}
    values["dataset"]["layout"] = {"mvtec-ad": "mvtec", "btad": "btad"}[collection]
    values["dataset"] |= {"classes": list(published_classes(collection))} | dataset
    values["experiments"] = {
        "cflow": {"method": "cflow"},
        "selected": {
            "base": "cflow",
            "heading": "Selected",
            "published_as": published_as,
            "evaluation": {"select": "best_on_test", "aupro": "linear"},
        },
    }
    values["tables"] = {"methods": ["cflow", "selected"]}
    return load_config(values)


def measured(context: TableContext, seeds: tuple[int, ...] = (0, 1)) -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = [
        (experiment, class_name, seed, metric, random.uniform(0.5, 0.75), "a.json")
        for experiment in context.experiments
        for class_name in context.classes
        for seed in seeds
        for metric in METRICS
    ]
    return pd.DataFrame(rows, columns=["experiment", "class", "seed", "metric", "value", "source"])


@pytest.mark.parametrize("collection", CLASSES)
def test_the_printed_averages_are_the_means_of_the_classes(collection: str) -> None:
    tables = by_class_tables()[collection]
    assert len(published_classes(collection)) == CLASSES[collection]
    for metric in METRICS:
        columns: dict[str, dict[str, float]] = {}
        for row in tables[f"{metric}_by_class"]:
            columns.setdefault(row["method"], {})[row["class"]] = float(row["mean"])
        for method, values in columns.items():
            average = values.pop("average")
            assert values.keys() == published_classes(collection).keys(), method
            assert fmean(values.values()) == pytest.approx(average, abs=0.011), (method, metric)


def test_pixel_figures_of_btad_are_in_the_order_of_their_values() -> None:
    """The source prints AUPR below the heading AUROC, and the other way round."""
    averages = {row["metric"]: row["mean"] for row in read_published("btad", "averages")}
    assert (averages["pixel_auroc"], averages["pixel_ap"]) == ("97.12", "53.76")


@pytest.mark.parametrize("collection", CLASSES)
def test_a_run_has_the_tables_of_its_collection(collection: str) -> None:
    config = config_of(collection)
    found = tables_of(config)
    expected = ["averages", *(f"{metric}_by_class" for metric in METRICS)]
    assert found == [*expected, "sample_rules", "detection_metrics", "defect_types"]
    assert main_table(table_context(config)) == "averages"
    without = replace(table_context(config), published=None)
    assert main_table(without) == "table1"
    with pytest.raises(ValueError, match="there is no table2"):
        make_table("table2", measured(without), without)


def test_measured_columns_stand_beside_the_published_ones(tmp_path: Path) -> None:
    context = table_context(config_of("mvtec-ad"))
    metrics = measured(context)
    table = make_table("aupro_by_class", metrics, context)
    assert [column.key for column in table.columns] == [
        "CFLOW-AD_published",
        "AD-CLSCNFs_published",
        "cflow",
        "selected",
    ]
    rows = {row["class"]: row for row in csv.DictReader(io.StringIO(format_csv(table)))}
    assert len(rows) == 16
    assert rows["transistor"]["CFLOW-AD_published"] == "81.40"
    own = metrics[(metrics["experiment"] == "cflow") & (metrics["metric"] == "aupro")]
    expected = 100 * own[own["class"] == "transistor"]["value"].mean()
    assert float(rows["transistor"]["cflow"]) == pytest.approx(expected, abs=1e-4)
    assert float(rows["average"]["cflow"]) == pytest.approx(100 * own["value"].mean(), abs=1e-4)
    assert (rows["average"]["CFLOW-AD_published"], rows["average"]["AD-CLSCNFs_published"]) == ("94.60", "95.69")
    (note,) = [note for note in table.notes if "not measured here" in note]
    assert "WACV 2022" in note
    assert "best epoch on the test set for each metric by itself" in note
    assert "ResNet-18" not in note, "it has no AUPRO"
    assert not any("is not the paper's" in note for note in table.notes)
    (selected,) = [note for note in table.notes if note.startswith("Selected: ")]
    assert "chosen on the test set: of each metric by itself the best of 25 evaluations" in selected
    assert "AUPRO at 1,000 evenly spaced thresholds" in selected
    write_latex(table, tmp_path / "table.tex")
    assert r"CFLOW-AD$^\dagger$\\(published)" in (tmp_path / "table.tex").read_text().replace(
        "CFLOW-\\\\AD", "CFLOW-AD"
    )
    assert "Overlap of the segmentation per class (AUPRO)" in format_text(table)


def test_averages_have_a_row_for_each_metric_and_gaps_where_nothing_was_published() -> None:
    context = table_context(config_of("mvtec-ad"))
    table = make_table("averages", measured(context), context)
    rows = {row["metric"]: row for row in csv.DictReader(io.StringIO(format_csv(table)))}
    assert tuple(rows) == METRICS
    assert rows["image_auroc"]["CFLOW-AD (ResNet-18)_published"] == "96.75"
    assert rows["aupro"]["CFLOW-AD (ResNet-18)_published"] == "-"
    assert rows["pixel_ap"]["AD-CLSCNFs_published"] == "72.09"
    fewer = table_context(config_of("mvtec-ad", classes=["bottle", "cable"]))
    table = make_table("averages", measured(fewer), fewer)
    assert [column.key for column in table.columns] == ["cflow", "selected"]
    assert "Published averages are over 15 classes and not shown: this run has 2." in table.notes


def test_the_comparison_names_its_source_and_is_of_the_method_of_that_name() -> None:
    context = table_context(config_of("btad"))
    assert compare_with_paper(measured(context), context) is None, "nothing was published of CFLOW-AD on it"
    context = table_context(config_of("mvtec-ad"))
    metrics = measured(context)
    comparison = compare_with_paper(metrics, context)
    assert comparison is not None
    assert {cell.experiment for cell in comparison.cells} == {"cflow"}
    assert comparison.counts.total() == 3 * 16
    numbers, *_ = comparison_tables(comparison, context)
    assert any("WACV 2022" in note and "best epoch on the test set" in note for note in numbers.notes)
    assert table_experiments("comparison", context) == ["cflow", "selected"]
    both = table_context(config_of("mvtec-ad", "CFLOW-AD"))
    comparison = compare_with_paper(metrics, both)
    assert comparison is not None
    assert {cell.experiment for cell in comparison.cells} == {"cflow", "selected"}
    misspelt = table_context(config_of("mvtec-ad", "Cflow"))
    numbers, *_ = comparison_tables(compare_with_paper(metrics, misspelt), misspelt)
    known = "CFLOW-AD, CFLOW-AD (ResNet-18), AD-CLSCNFs"
    assert f"Selected is compared with nothing: there is no published column Cflow, only {known}." in numbers.notes


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (
            {"layout": "real_iad", "cameras": ["C1", "C2"]},
            "mvtec-ad stands only beside the same data and protocol, with dataset.layout: mvtec;",
        ),
        ({"classes": ["bottle", "pcb"]}, "dataset.classes: those of mvtec-ad; found pcb"),
        ({"layout": "btad"}, "with dataset.layout: mvtec; found btad;"),
        ({"layout": "real_iad", "annotations": "realiad_jsons_sv"}, "with dataset.layout: mvtec; found real_iad;"),
    ],
)
def test_published_figures_stand_only_beside_their_own_data(dataset: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        config_of("mvtec-ad", **dataset)
    assert message in caught.value.problems[0]


def test_selecting_without_stages_is_one_line() -> None:
    values = yaml.safe_load(CONFIG.read_text())
    values["experiments"] = {"multiflow": {"evaluation": {"select": "best_on_test"}}}
    with pytest.raises(InputError) as caught:
        load_config(values)
    (problem,) = caught.value.problems
    assert "experiments.multiflow.evaluation.select: best_on_test: expected a method whose training keeps" in problem
