"""CFLOW-AD through the workflow: from rendered parts to tables, and one part's photographs through its model."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from checkout import Checkout, small_run, without
from safetensors.torch import save_file

from multiflow.base.weights import read_weights
from multiflow.methods.model import read_model
from multiflow.scores import ScoreFile

LITE0 = "tf_efficientnet_lite0.in1k"
CFLOW: dict[str, Any] = {
    "method": "cflow",
    "image_size": 64,
    "encoder": {"backbone": LITE0, "weights": "package", "padding": "zeros", "levels": [-3, -2]},
    "decoder": {"blocks": 2, "condition": 16},
    "training": {"meta_epochs": 2, "sub_epochs": 2, "image_batch": 10, "fibre_batch": 64, "learning_rate": 1.0e-3},
}


def run() -> dict[str, Any]:
    """Two experiments that share models, one whose evaluation is chosen, and a class with an input size of its own."""
    return small_run() | {
        "experiments": {
            "cflow": CFLOW | {"by_class": {"coin_cell": {"image_size": 96}}},
            "cflow_test_maximum": {"base": "cflow", "maximum": "test"},
            "cflow_selected": {
                "base": "cflow",
                "classes": ["stud_brick"],
                "evaluation": {"select": "best_on_test", "aupro": "linear"},
            },
            **without("cflow", "cflow_test_maximum", "cflow_selected"),
        },
        "tables": {"methods": ["cflow", "cflow_test_maximum", "cflow_selected"]},
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = Checkout(tmp_path_factory.mktemp("cflow"))
    checkout.succeed(["config/demo.yaml", checkout.write_config(run())])
    return checkout


def test_tables_report_and_footnotes(made: Checkout) -> None:
    results = made.folder / "results/small"
    with open(results / "tables/table1.csv", newline="", encoding="utf-8") as stream:
        assert all(float(row["cflow"]) > 0 for row in csv.DictReader(stream))
    notes = (results / "tables/table1.tex").read_text()
    assert "4 passes, 64 pixels a step;" in notes
    assert "each score depends on all test images" in notes
    assert not (results / "features").exists(), "nobody asked for features"
    assert not (results / "foreground").exists()
    assert [path.stem for path in (results / "weights").iterdir()] == [LITE0]
    assert (results / "report.html").exists()


def test_experiments_that_differ_in_the_maximum_share_models_and_classes_have_their_own_size(made: Checkout) -> None:
    results = made.folder / "results/small"
    assert not (results / "models/cflow_test_maximum").exists()
    for class_name, size in (("stud_brick", 64), ("coin_cell", 96)):
        record = json.loads((results / f"metrics/cflow/{class_name}/seed0.json").read_text())
        assert record["provenance"]["config"]["settings"]["image_size"] == size
        with ScoreFile(results / f"scores/cflow/{class_name}/seed0.h5") as scores:
            assert scores.map(0).shape == (5, size, size)
            assert len(np.unique(scores.image_scores)) == scores.image_scores.size, "scores that are told apart"
            assert scores.provenance["weights_sha256"].keys() == {LITE0}


def test_the_best_evaluation_on_the_test_set_is_chosen_named_and_printed_as_such(made: Checkout) -> None:
    results = made.folder / "results/small"
    plain, selected = (
        json.loads((results / f"metrics/{name}/stud_brick/seed0.json").read_text())
        for name in ("cflow", "cflow_selected")
    )
    assert set(selected["selected"].values()) <= {"pass 2", "last"}
    assert "selected" not in plain
    last = read_model(results / "models/cflow/stud_brick/seed0.safetensors")
    path = results / "models/cflow_selected/stud_brick/seed0.safetensors"
    stages = read_model(path), read_model(path, "pass 2")
    assert all((stages[0].tensors[name] == tensor).all() for name, tensor in last.tensors.items()), "the last one"
    assert any((stages[0].tensors[name] != stages[1].tensors[name]).any() for name in last.tensors)
    with (
        ScoreFile(results / "scores/cflow/stud_brick/seed0.h5") as one,
        ScoreFile(results / "scores/cflow_selected/stud_brick/seed0.h5") as other,
        ScoreFile(results / "scores/cflow_selected/stud_brick/seed0.h5", 0) as earlier,
    ):
        assert (one.map(0) == other.map(0)).all()
        assert (one.map(0) != earlier.map(0)).any()
    exact = {name: value for name, value in plain["metrics"].items() if name != "aupro" and value is not None}
    assert all(selected["metrics"][name] >= value for name, value in exact.items())
    notes = (results / "tables/table1.tex").read_text()
    assert "chosen on the test set: of each metric by itself the best of 2 evaluations during the training" in notes
    assert not list((results / "checkpoints").rglob("*.stage*"))


def test_the_same_weights_from_another_place_train_nothing_again(made: Checkout, tmp_path: Path) -> None:
    copy = made.copy(tmp_path / "copy")
    state, _ = read_weights(copy.folder / f"results/small/weights/{LITE0}.safetensors")
    own = {"weights": "own.safetensors"}
    moved = {"experiments": {"cflow": {"encoder": own}}, "features": {"lite0": own}}
    overlays = ["config/demo.yaml", "test.yaml", copy.write_config(moved, "moved.yaml")]
    target = "results/small/metrics/cflow_test_maximum/stud_brick/seed0.json"
    for factor, expected in ((1.0, []), (1.5, ["train_model", "score_samples", "count_metrics"])):
        values = {name: tensor * factor if name == "conv_stem.weight" else tensor for name, tensor in state.items()}
        save_file(values, copy.folder / "own.safetensors")
        printed = copy.succeed(overlays, target)
        ran = re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)$", printed, re.MULTILINE)
        assert ran == ["fetch_weights", *expected]


def test_photographs_of_a_test_sample_get_its_scores(made: Checkout, tmp_path: Path) -> None:
    results = made.folder / "results/small"
    with open(results / "samples/stud_brick.csv", newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    for row in rows[:5]:
        shutil.copy(results / "dataset" / row["image"], tmp_path)
    model = "results/small/models/cflow/stud_brick/seed0.safetensors"
    made.tool("inspect", model, str(tmp_path), "--output", str(tmp_path / "out"))
    found = json.loads((tmp_path / "out/score.json").read_text())
    with ScoreFile(results / "scores/cflow/stud_brick/seed0.h5") as scores:
        index = scores.samples.index(rows[0]["sample"])
        assert [view["score"] for view in found["views"]] == scores.image_scores[index].tolist()
        maps = np.load(tmp_path / "out/anomaly_maps.npy")
        for view, row in enumerate(rows[:5]):
            expected = scores.map(index)[view]
            assert np.array_equal(maps[view], expected[:, ::-1] if row["flip"] == "1" else expected)


def test_the_plan_knows_its_cost(made: Checkout) -> None:
    plan = made.tool("plan", "config/demo.yaml", "test.yaml")
    assert "Not in the sums" not in plan


def test_an_encoder_without_weights_or_with_two_is_one_line(made: Checkout) -> None:
    for encoder, words in (
        ({"backbone": "resnet19"}, "backbone: timm has no model resnet19"),
        ({"weights": "hub"}, "a run has one file of weights per backbone"),
    ):
        changed = {"experiments": {"other": CFLOW | {"encoder": CFLOW["encoder"] | encoder}}}
        overlay = made.write_config(changed, "wrong.yaml")
        target = "results/small/models/other/coin_cell/seed0.safetensors"
        result = made.run(["config/demo.yaml", "test.yaml", overlay], target)
        printed = result.stdout + result.stderr
        assert result.returncode != 0
        assert "Traceback" not in printed
        assert any(words in line for line in printed.splitlines()), printed


def test_what_a_method_learns_from_is_drawn_without_a_training(made: Checkout) -> None:
    own = {"method": "clscnf", "image_size": 64, "classes": ["stud_brick"]}
    shown = {"experiments": {"clscnf": own}, "tables": {"methods": ["cflow", "clscnf"]}}
    overlays = ["config/demo.yaml", "test.yaml", made.write_config(shown, "illustrated.yaml")]
    target = made.folder / "results/small/figures/clscnf/illustration/stud_brick.png"
    made.succeed(overlays, str(target.relative_to(made.folder)))
    assert target.stat().st_size > 20_000
    assert not (made.folder / "results/small/models/clscnf").exists()
    assert made.run(overlays, "--dry-run", "results").stdout.count("rule plot_illustration:") == 0, "it is up to date"
