"""The whole workflow on rendered parts, small: from parts to tables, again, and after changes and kills."""

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
from pathlib import Path
from typing import Any

import pytest
from checkout import Checkout, small_run

from multiflow.tables.pdf import missing_latex

PARTS = ("stud_brick", "coin_cell")
EXPECTED_METRICS = {"sample_auroc", "sample_auroc_max", "sample_auroc_mean", "image_auroc", "pixel_auroc", "aupro"}
RUNS = {
    ("multiflow", "stud_brick", 0), ("multiflow", "stud_brick", 1), ("multiflow", "coin_cell", 0),
    ("multiflow", "coin_cell", 1), ("no_cross_view", "stud_brick", 0), ("with_background", "stud_brick", 0),
}  # fmt: skip


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def planned(printed: str) -> Counter[str]:
    """Jobs of a dry run, by rule."""
    return Counter({rule: int(count) for rule, count in re.findall(r"^(\w+) +(\d+)$", printed, re.MULTILINE)})


def changed_run(**change: Any) -> dict[str, Any]:
    return small_run() | change


def test_metrics_have_a_row_per_experiment_class_seed_and_metric(rendered: Checkout) -> None:
    results = rendered.folder / "results/small"
    metrics = rows(results / "metrics.csv")
    found = Counter((row["experiment"], row["class"], int(row["seed"])) for row in metrics)
    assert set(found) == RUNS
    for run in RUNS:
        own = {row["metric"] for row in metrics if (row["experiment"], row["class"], int(row["seed"])) == run}
        assert own == EXPECTED_METRICS
    for row in metrics:
        source = json.loads((results / row["source"]).read_text())
        assert float(row["value"]) == source["metrics"][row["metric"]]
        assert set(source["provenance"]) == {
            "backbone_sha256", "config", "data_sha256", "device", "flow_sha256", "revision", "versions",
        }  # fmt: skip


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


def test_figures_are_pictures(rendered: Checkout) -> None:
    figures = rendered.folder / "results/small/figures"
    names = [f"{kind}/{name}" for kind in ("anomaly_maps", "foreground", "detection") for name in PARTS]
    names += ["training/classes", "training/experiments", "classes/detection", "classes/segmentation", "ablations"]
    for name in names:
        assert (figures / f"{name}.png").read_bytes().startswith(b"\x89PNG"), name
        assert (figures / f"{name}.pdf").read_bytes().startswith(b"%PDF"), name


def test_a_second_run_does_nothing_and_says_so(rendered: Checkout) -> None:
    assert "Nothing to be done" in rendered.succeed(["config/demo.yaml", "test.yaml"])


def test_touching_a_script_reruns_nothing(rendered: Checkout) -> None:
    for name in ("train_flow.py", "evaluate_flow.py"):
        script = rendered.folder / "workflow/scripts" / name
        script.write_text(script.read_text() + "# touched\n")
    assert "Nothing to be done" in rendered.succeed(["config/demo.yaml", "test.yaml"], "-n")


def test_a_new_seed_class_or_experiment_runs_only_itself(rendered: Checkout) -> None:
    experiments, one_class = small_run()["experiments"], {"classes": ["stud_brick"]}
    changes: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
        "seed": (
            changed_run(experiments=experiments | {"multiflow": {"seeds": [0, 1, 2]}}),
            {"train_flow": 2, "evaluate_flow": 2, "plot_class": 2, "plot_training": 1},
        ),
        "experiment": (
            changed_run(experiments=experiments | {"noise_none": {"classes": ["coin_cell"]}}),
            {"train_flow": 1, "evaluate_flow": 1, "plot_training": 1},
        ),
        "class": (
            changed_run(dataset={"image_folder": "realiad_128", "classes": ["stud_brick", "coin_cell", "flange_nut"]}),
            {
                "render_class": 1, "flip_views": 1, "extract_features": 1, "segment_foreground": 1,
                "train_flow": 2, "evaluate_flow": 2, "plot_class": 1, "plot_training": 1,
            },
        ),
        "name": (
            changed_run(dataset={"image_folder": "realiad_128", "name": "Other parts"}),
            {},
        ),
        "evaluation": (
            changed_run(evaluation={"sample_score": "mean"}),
            {"evaluate_flow": 6, "plot_class": 2},
        ),
        "training": (
            changed_run(experiments=experiments | {"no_cross_view": {"training": {"epochs": 5}, **one_class}}),
            {"train_flow": 1, "evaluate_flow": 1, "plot_training": 1},
        ),
    }  # fmt: skip
    tables = {"make_table": 8, "compare_ablations": 1, "compare_with_paper": 1, "plot_metrics": 1, "list_runs": 1}
    tables |= {"summarize": 1, "write_report": 1, "all": 1} | ({} if missing_latex() else {"typeset_tables": 1})
    for name, (values, expected) in changes.items():
        overlay = rendered.write_config(values, f"{name}.yaml")
        found = planned(rendered.succeed(["config/demo.yaml", overlay], "-n"))
        expected = expected | tables | ({"collect_metrics": 1} if "evaluate_flow" in expected else {})
        assert found == Counter(expected | {"total": sum(expected.values())}), name


def test_the_released_protocol_differs_where_it_should_and_both_say_so(rendered: Checkout) -> None:
    experiments = dict.fromkeys(small_run()["experiments"]) | {"multiflow": {"seeds": [0]}}
    change = {
        "run": "released",
        "dataset": {"root": "results/small/dataset"},
        "rendering": None,
        "training": {"epochs": 5},
        "experiments": experiments,
    }
    overlays = ["config/demo.yaml", "test.yaml", "config/released.yaml", rendered.write_config(change, "released.yaml")]
    printed = rendered.succeed(overlays)
    assert (rendered.folder / "results/released/summary.txt").read_text() in printed
    values: dict[str, dict[str, float]] = {}
    settings: dict[str, dict[str, dict[str, Any]]] = {}
    for run in ("small", "released"):
        record = json.loads((rendered.folder / f"results/{run}/scores/multiflow/coin_cell/seed0.json").read_text())
        values[run], settings[run] = record["metrics"], record["provenance"]["config"]
    assert values["small"]["sample_auroc"] == values["small"]["sample_auroc_max"]
    assert values["released"]["sample_auroc"] == values["released"]["sample_auroc_mean"]
    assert all(values["small"][metric] != values["released"][metric] for metric in ("pixel_auroc", "aupro"))
    for block, key, paper, released in (
        ("flow", "noise_std", 0.15**0.5, 0.15),
        ("flow", "clamp_slope", 2 / math.pi, 0.636),
        ("flow", "condition_scale", 1.0, 20.0),
        ("flow", "transform_first", "second", "first"),
        ("flow", "attention", "paper", "released"),
        ("foreground", "empty", "foreground", "background"),
        ("foreground", "to_grid", "nearest", "bilinear"),
        ("features", "ground_truth_threshold", 127, 254),
    ):
        assert (settings["small"][block][key], settings["released"][block][key]) == (paper, released)
    footnotes = {run: (rendered.folder / f"results/{run}/summary.txt").read_text() for run in ("small", "released")}
    for run, words in {
        "small": [
            "maximum over the views", "nearest to the feature grid", "4 epochs", "n = 2 seeds", "128 px",
            "anomalous above grey value 127", "noise: simplenet, std 0.387, condition 1 × noise",
            "flow: soft clamp 0.637, second half first",
        ],
        "released": [
            "mean over the views' maxima", "bilinear", "5 epochs", "n = 1 seed", "256 × 256 px",
            "anomalous above grey value 254", "noise: simplenet, std 0.15, condition 20 × noise",
            "flow: soft clamp 0.636, first half first", "a view without foreground is background",
        ],
    }.items():  # fmt: skip
        for word in words:
            assert word in " ".join(footnotes[run].split()), (run, word)


def test_what_is_not_kept_goes_when_nothing_needs_it(rendered: Checkout) -> None:
    small, results = rendered.folder / "results/small", rendered.folder / "results/dropping"
    assert len(list((small / "flows").rglob("*.safetensors"))) == len(RUNS)
    assert not list((small / "checkpoints").rglob("*.finished.*")), "a flow that is deleted would keep its space"
    run = {
        "run": "dropping",
        "dataset": {"root": "results/small/dataset", "classes": ["stud_brick"]},
        "rendering": None,
        "experiments": dict.fromkeys(small_run()["experiments"]) | {"multiflow": {"seeds": [0]}},
        "keep": {"features": False, "flows": False},
    }
    overlays, metrics = ["config/demo.yaml", "test.yaml"], "results/dropping/metrics.csv"
    # plot_class reads the samples only: features go without it.
    rendered.succeed([*overlays, rendered.write_config(run, "dropping.yaml")], metrics)
    assert [path.name for path in (results / "flows").rglob("seed*")] == ["seed0.jsonl"]
    for place in ("features/*.h5", "checkpoints/**/seed*"):
        assert not list(results.glob(place)), place
    same = [row for row in rows(small / "metrics.csv") if (row["experiment"], row["class"], row["seed"]) == (
        "multiflow", "stud_brick", "0")]  # fmt: skip
    assert [row["value"] for row in rows(results / "metrics.csv")] == [row["value"] for row in same]
    kept = rendered.write_config(run | {"keep": {"features": True}}, "kept.yaml")
    for overlay in ("dropping.yaml", kept):
        assert "Nothing to be done" in rendered.succeed([*overlays, overlay], "-n", metrics)
    more = rendered.write_config(run | {"experiments": run["experiments"] | {"multiflow": {"seeds": [0, 1]}}}, "m.yaml")
    found = planned(rendered.succeed([*overlays, more], "-n", metrics))
    assert (found["extract_features"], found["train_flow"], found["evaluate_flow"]) == (1, 2, 2)


def test_what_changes_no_number_reruns_nothing(rendered: Checkout) -> None:
    run = small_run()
    change = {
        "training": run["training"] | {"checkpoint_every": 7},
        "features": run["features"] | {"workers": 0, "threads": 2, "weights_sha256": 32 * "5e"},
        "foreground": run["foreground"] | {"threads": 2, "weights": "elsewhere.pth", "weights_sha256": 32 * "5e"},
    }
    overlay = rendered.write_config(run | change, "harmless.yaml")
    assert "Nothing to be done" in rendered.succeed(["config/demo.yaml", overlay], "-n")


def test_killed_at_any_moment_it_ends_in_the_same_metrics(rendered: Checkout, tmp_path: Path) -> None:
    reference = (rendered.folder / "results/small/metrics.csv").read_bytes()
    checkout = Checkout(tmp_path)
    overlay = checkout.write_config(small_run())
    # While parts are rendered, features written, flows trained, scores written, metrics collected.
    moments = [
        "dataset/realiad_128/.*/**/*.jpg",
        "features/.*.partial",
        "checkpoints/multiflow/*/*.pt",
        "scores/*/*/.*.partial",
        "metrics.csv",
    ]
    for moment in moments:
        process = subprocess.Popen(
            checkout.command(["config/demo.yaml", overlay]),
            cwd=checkout.folder,
            env=checkout.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 300
        while not list((checkout.folder / "results/small").glob(moment)):
            if process.poll() is not None or time.monotonic() > deadline:
                break
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        checkout.succeed(["config/demo.yaml", overlay], "--unlock")
    checkout.succeed(["config/demo.yaml", overlay])
    assert (checkout.folder / "results/small/metrics.csv").read_bytes() == reference
    assert not list((checkout.folder / "results/small").rglob(".*.partial")), "half-written files are left"
