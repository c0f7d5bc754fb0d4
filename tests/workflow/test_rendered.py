"""The whole workflow on rendered parts, small: from parts to tables, and after kills."""

from __future__ import annotations

import csv
import json
import math
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from checkout import DATASET, Checkout, small_run, without

PARTS = ("stud_brick", "coin_cell")
EXPECTED_METRICS = {
    "sample_auroc", "sample_auroc_max", "sample_auroc_mean", "sample_auroc_top1", "image_auroc", "image_ap",
    "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro",
}  # fmt: skip
RUNS = {
    ("multiflow", "stud_brick", 0), ("multiflow", "stud_brick", 1), ("multiflow", "coin_cell", 0),
    ("multiflow", "coin_cell", 1), ("no_cross_view", "stud_brick", 0), ("with_background", "stud_brick", 0),
    ("background_ignored", "stud_brick", 0),
}  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_metrics_have_a_row_per_experiment_class_seed_and_metric(rendered: Checkout) -> None:
    results = rendered.folder / "results/small"
    metrics = rows(results / "metrics.csv")
    found = Counter((row["experiment"], row["class"], int(row["seed"])) for row in metrics)
    assert set(found) == RUNS
    for run in RUNS:
        own = {row["metric"] for row in metrics if (row["experiment"], row["class"], int(row["seed"])) == run}
        assert {name for name in own if ":" not in name} == EXPECTED_METRICS
        defects = {name.partition(":")[2] for name in own if ":" in name}
        assert defects, "no defect type has a metric of its own"
        assert {name for name in own if ":" in name} == {
            f"{level}_auroc:{defect}" for level in ("image", "sample") for defect in defects
        }
    for row in metrics:
        source = json.loads((results / row["source"]).read_text())
        assert float(row["value"]) == source["metrics"][row["metric"]]
        assert set(source["provenance"]) == {
            "config", "device", "ground_truth_sha256", "model_sha256", "pictures_sha256", "revision", "threads",
            "training_threads", "versions", "weights_sha256",
        }  # fmt: skip
        assert 0 <= source["diagnostics"]["views_at_zero"] <= 1


def test_all_tables_are_filled_with_this_runs_numbers(rendered: Checkout) -> None:
    results = rendered.folder / "results/small"
    metrics = rows(results / "metrics.csv")
    for number in range(1, 8):
        table = rows(results / f"tables/table{number}.csv")
        assert table, number
        assert (results / f"tables/table{number}.tex").read_text().startswith("\\begin{table}")
        assert not any("published" in str(row) for row in table)
    by_class = {row["class"]: float(row["multiflow"]) for row in rows(results / "tables/table5.csv")}
    for class_name in ("stud_brick", "coin_cell"):
        values = [
            float(row["value"])
            for row in metrics
            if (row["experiment"], row["class"], row["metric"]) == ("multiflow", class_name, "sample_auroc")
        ]
        assert by_class[class_name] == pytest.approx(100 * sum(values) / len(values), abs=1e-3)
    assert by_class["average"] == pytest.approx((by_class["stud_brick"] + by_class["coin_cell"]) / 2, abs=1e-3)
    assert "Table 1" in (results / "summary.txt").read_text()


def test_statistics_and_costs_come_from_the_runs_own_records(rendered: Checkout) -> None:
    results = rendered.folder / "results/small"
    seeds = [json.loads((results / f"metrics/multiflow/stud_brick/seed{seed}.json").read_text()) for seed in (0, 1)]
    histories = [
        json.loads((results / f"models/multiflow/stud_brick/seed{seed}.jsonl").read_text().splitlines()[-1])["usage"]
        for seed in (0, 1)
    ]
    costs = {row["class"]: row for row in rows(results / "tables/costs.csv")}
    assert list(costs) == ["stud_brick", "coin_cell", "average"]
    own = costs["stud_brick"]
    assert float(own["training_seconds"]) == pytest.approx(sum(usage["seconds"] for usage in histories) / 2, abs=1e-3)
    seconds = sum(seed["usage"]["seconds"] / seed["usage"]["samples"] for seed in seeds) / 2
    assert float(own["scoring_seconds"]) == pytest.approx(seconds, abs=1e-3)
    assert [seed["usage"]["samples"] for seed in seeds] == [4, 4]
    assert all(float(own[name]) > 0 for name in ("preparation_seconds", "training_memory", "parameters"))
    assert own["gpu_memory"] == ""
    intervals = {(row["metric"], row["class"]): row for row in rows(results / "tables/auroc_intervals.csv")}
    assert len(intervals) == 4
    for metric in ("sample_auroc", "image_auroc"):
        found = [seed["intervals"][metric] for seed in seeds]
        if None not in found:
            low = 100 * sum(ends[0] for ends in found) / 2
            assert float(intervals[metric, "stud_brick"]["low"]) == pytest.approx(low, abs=1e-3)
    assert len(rows(results / "tables/method_ranks.csv")) == 4
    assert "there is nothing to compare with" in (results / "tables/method_ranks.html").read_text()
    assert "@inproceedings{kruse2025multiflow," in rendered.tool("cite", "--run", "small")


def test_figures_are_pictures(rendered: Checkout) -> None:
    figures = rendered.folder / "results/small/figures"
    names = [f"multiflow/{kind}/{name}" for kind in ("anomaly_maps", "foreground", "detection") for name in PARTS]
    names += ["training/classes", "training/experiments", "classes/detection", "classes/segmentation", "ablations"]
    names += ["critical_differences", "costs"]
    for name in names:
        assert (figures / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name
        assert (figures / f"{name}.pdf").read_bytes().startswith(b"%PDF"), name


def test_the_report_prints_names_as_typed(rendered: Checkout) -> None:
    report = (rendered.folder / "results/small/report.html").read_text(errors="ignore")
    assert f"<strong>Every class of {json.dumps(DATASET)[1:-1]} at a glance</strong>" in report


def test_the_background_that_is_ignored_shares_the_model_and_changes_scores(rendered: Checkout) -> None:
    results = rendered.folder / "results/small"
    assert not (results / "models/background_ignored").exists(), "the same flow was trained twice"
    zero, ignored = (
        json.loads((results / f"metrics/{name}/stud_brick/seed0.json").read_text())
        for name in ("multiflow", "background_ignored")
    )
    assert zero["provenance"]["model_sha256"] == ignored["provenance"]["model_sha256"]
    assert zero["metrics"]["aupro"] != ignored["metrics"]["aupro"]
    assert ignored["diagnostics"]["views_at_zero"] == 0


def test_both_protocols_run_side_by_side_on_one_set_of_features_and_masks(finished: Checkout) -> None:
    change = {"experiments": {"released": {"classes": ["coin_cell"], "seeds": [0], "training": {"epochs": 5}}}}
    overlays = ["config/demo.yaml", "test.yaml", "config/released.yaml", finished.write_config(change, "beside.yaml")]
    target = ["results/small/metrics/released/coin_cell/seed0.json", "results/small/tables/table1.csv"]
    printed = finished.succeed(overlays, *target)
    ran = set(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)$", printed, re.MULTILINE))
    assert ran == {"train_model", "score_samples", "count_metrics", "make_table"}, "the second protocol made more anew"
    assert re.search(r"^Table 1\b", printed, re.MULTILINE), "a table is printed when it is made"
    records = {
        name: json.loads((finished.folder / f"results/small/metrics/{name}/coin_cell/seed0.json").read_text())
        for name in ("multiflow", "released")
    }
    values = {name: record["metrics"] for name, record in records.items()}
    assert values["multiflow"]["sample_auroc"] == values["multiflow"]["sample_auroc_max"]
    assert values["released"]["sample_auroc"] == values["released"]["sample_auroc_mean"]
    assert all(values["multiflow"][metric] != values["released"][metric] for metric in ("pixel_auroc", "aupro"))
    settings: dict[str, dict[str, Any]] = {}
    for name, record in records.items():
        config = record["provenance"]["config"]
        settings[name] = config["settings"]["network"] | config["foreground"] | config["evaluation"]
    for key, paper, released in (
        ("noise_std", 0.15**0.5, 0.15),
        ("clamp_slope", 2 / math.pi, 0.636),
        ("condition_scale", 1.0, 20.0),
        ("transform_first", "second", "first"),
        ("attention", "paper", "released"),
        ("empty", "foreground", "background"),
        ("to_grid", "nearest", "bilinear"),
        ("ground_truth_threshold", 127, 254),
    ):
        assert (settings["multiflow"][key], settings["released"][key]) == (paper, released)
    assert "Multi-Flow (released code)" in (finished.folder / "results/small/tables/table1.tex").read_text()


def test_footnotes_name_the_protocol(rendered: Checkout) -> None:
    footnotes = " ".join((rendered.folder / "results/small/summary.txt").read_text().split())
    for words in (
        "maximum over the views", "nearest to the feature grid", "4 epochs", "n = 2 seeds", "128 px",
        "anomalous above grey value 127", "noise: simplenet, std 0.387, condition 1 × noise",
        "soft clamp 0.637, second half first",
    ):  # fmt: skip
        assert words in footnotes, words


def test_what_is_not_kept_goes_when_nothing_needs_it(rendered: Checkout) -> None:
    small, results = rendered.folder / "results/small", rendered.folder / "results/dropping"
    assert len(list((small / "models").rglob("*.safetensors"))) >= len(RUNS) - 1
    assert not list((small / "checkpoints").rglob("*.finished.*")), "a model that is deleted would keep its space"
    run = {
        "run": "dropping",
        "dataset": {"root": "results/small/dataset", "classes": ["stud_brick"]},
        "rendering": None,
        "experiments": {"multiflow": {"seeds": [0]}, **without("multiflow")},
        "keep": {"features": False, "models": False, "scores": False},
    }
    overlays, metrics = ["config/demo.yaml", "test.yaml"], "results/dropping/metrics.csv"
    rendered.succeed([*overlays, rendered.write_config(run, "dropping.yaml")], metrics)
    assert [path.name for path in (results / "models").rglob("seed*")] == ["seed0.jsonl"]
    for place in ("features/**/*.h5", "scores/**/*.h5", "checkpoints/**/seed*"):
        assert not list(results.glob(place)), place
    same = [row for row in rows(small / "metrics.csv") if (row["experiment"], row["class"], row["seed"]) == (
        "multiflow", "stud_brick", "0")]  # fmt: skip
    assert [row["value"] for row in rows(results / "metrics.csv")] == [row["value"] for row in same]
    kept = rendered.write_config(run | {"keep": {"features": True}}, "kept.yaml")
    for overlay in ("dropping.yaml", kept):
        assert "Nothing to be done" in rendered.succeed([*overlays, overlay], "-n", metrics)


def made_since(started: float, paths: Iterable[Path]) -> bool:
    """Whether one of the files was written after a time; what an earlier process left says nothing of this one."""
    for path in paths:
        with suppress(FileNotFoundError):
            if path.stat().st_mtime >= started:
                return True
    return False


def test_killed_at_any_moment_it_ends_in_the_same_metrics(rendered: Checkout, tmp_path: Path) -> None:
    reference = [
        row | {"source": ""}
        for row in rows(rendered.folder / "results/small/metrics.csv")
        if (row["experiment"], row["class"], row["seed"]) == ("multiflow", "coin_cell", "0")
    ]
    checkout = Checkout(tmp_path)
    one = {"experiments": {"multiflow": {"seeds": [0], "classes": ["coin_cell"]}, **without("multiflow")}}
    overlays = ["config/demo.yaml", checkout.write_config(small_run()), checkout.write_config(one, "one.yaml")]
    target = "results/small/metrics.csv"
    # While parts are rendered, features written, the model trained, its scores counted, metrics collected.
    moments = [
        "dataset/realiad_128/.*/**/*.jpg",
        "features/lite0/.*.partial",
        "checkpoints/multiflow/*/*.pt",
        "scores/*/*/seed0.h5",
        "metrics/*/*/seed0.json",
    ]
    for moment in moments:
        process = subprocess.Popen(
            checkout.command(overlays, target),
            cwd=checkout.folder,
            env=checkout.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        started, deadline = time.time(), time.monotonic() + 300
        while not made_since(started, (checkout.folder / "results/small").glob(moment)):
            assert process.poll() is None, f"it ended before it could be killed at {moment}"
            assert time.monotonic() < deadline, moment
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, f"it ended before it was killed at {moment}"
    checkout.succeed(overlays, target)
    found = [row | {"source": ""} for row in rows(checkout.folder / target)]
    assert found == reference
    assert not list((checkout.folder / "results/small").rglob(".*.partial")), "half-written files are left"
