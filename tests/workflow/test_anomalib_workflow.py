"""Models of anomalib through the workflow: their networks are files of the run, and nothing lies beside the results."""

from __future__ import annotations

import csv
import json
from typing import Any

import pytest
import timm
import torch
from checkout import PARTS, Checkout, small_run, without
from safetensors.torch import save_file

from multiflow.scores import ScoreFile

LITE0, RESNET = "tf_efficientnet_lite0.in1k", "resnet18.tv_in1k"
PATCHCORE: dict[str, Any] = {
    "method": "anomalib",
    "model": "Patchcore",
    "network": {"backbone": LITE0, "weights": "package"},
    "image_size": 64,
    "settings": {"layers": ["blocks.2", "blocks.4"], "coreset_sampling_ratio": 0.1},
    "training": {"batch_size": 8},
}
NEW = "Fastflow"
FASTFLOW: dict[str, Any] = {
    "method": "anomalib",
    "model": NEW,
    "network": {"backbone": RESNET, "weights": "resnet.safetensors"},
    "image_size": 64,
    "settings": {"flow_steps": 1},
    "training": {"batch_size": 8, "epochs": 1},
}


def forget(checkout: Checkout, model: str) -> None:
    """Leave a checkout as it was before anybody here knew a model: neither its name nor its reference is in a file."""
    table = checkout.folder / "src/multiflow/methods/anomalib/models.csv"
    lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith(f"{model},")]
    assert len(kept) == len(lines) - 1
    table.write_text("".join(kept), encoding="utf-8")
    for part in ("src", "workflow", "config", "profiles"):
        for path in (checkout.folder / part).rglob("*"):
            if path.suffix in (".py", ".smk", ".yaml", ".csv"):
                assert model.lower() not in path.read_text(encoding="utf-8").lower(), path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkout, str]:
    """A run of two models to Table 1, and what was printed: one that is known here, one that nothing here names."""
    checkout = Checkout(tmp_path_factory.mktemp("made"))
    forget(checkout, NEW)
    torch.manual_seed(0)
    save_file(timm.create_model(RESNET, pretrained=False).state_dict(), checkout.folder / "resnet.safetensors")
    run = small_run() | {"experiments": {"patchcore": PATCHCORE, "new": FASTFLOW, **without()}}
    run["dataset"]["classes"] = ["stud_brick"]
    run["tables"] = {"methods": ["patchcore", "new"]}
    return checkout, checkout.succeed(["config/demo.yaml", checkout.write_config(run)], "table1")


def test_a_model_is_trained_scored_and_counted(made: tuple[Checkout, str]) -> None:
    checkout, printed = made
    assert "Warning" not in printed
    results = checkout.folder / "results/small"
    record = json.loads((results / "metrics/patchcore/stud_brick/seed0.json").read_text())
    assert record["provenance"]["config"]["settings"]["model"] == "Patchcore"
    assert sorted(path.stem for path in (results / "weights").iterdir()) == [RESNET, LITE0]
    assert (results / "models/patchcore/stud_brick/seed0.safetensors").stat().st_size < 1_000_000, "without its network"
    with ScoreFile(results / "scores/patchcore/stud_brick/seed0.h5") as scores:
        assert scores.map(0).shape == (5, 64, 64)
        assert scores.provenance["weights_sha256"].keys() == {LITE0}
    assert "Selecting Coreset Indices" in (results / "logs/train_model/patchcore/stud_brick/seed0.log").read_text()
    left = {path.name for path in checkout.folder.iterdir()} - set(PARTS)
    assert left == {"results", "test.yaml", "resnet.safetensors", ".snakemake"}, "no folders of the libraries"


def test_a_model_that_no_file_here_names_has_a_column_of_table_1(made: tuple[Checkout, str]) -> None:
    results = made[0].folder / "results/small"
    (trained, *_) = map(json.loads, (results / "models/new/stud_brick/seed0.jsonl").read_text().splitlines())
    assert trained["epoch"] == 1
    metrics = json.loads((results / "metrics/new/stud_brick/seed0.json").read_text())["metrics"]
    with open(results / "tables/table1.csv", newline="", encoding="utf-8") as stream:
        column = {row["metric"]: float(row["new"]) for row in csv.DictReader(stream)}
    assert column["image_auroc"] == pytest.approx(100 * metrics["image_auroc"], abs=0.05)
    assert NEW in (results / "tables/table1.tex").read_text()
