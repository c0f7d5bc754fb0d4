"""A model of anomalib through the workflow: its network is a file of the run, and nothing lies beside the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from checkout import PARTS, Checkout, small_run, without

from multiflow.scores import ScoreFile

LITE0 = "tf_efficientnet_lite0.in1k"
PATCHCORE: dict[str, Any] = {
    "method": "anomalib",
    "model": "Patchcore",
    "network": {"backbone": LITE0, "weights": "package"},
    "image_size": 64,
    "settings": {"layers": ["blocks.2", "blocks.4"], "coreset_sampling_ratio": 0.1},
    "training": {"batch_size": 8},
}


def test_a_model_is_trained_scored_and_counted(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    run = small_run() | {"experiments": {"patchcore": PATCHCORE, **without()}}
    run["dataset"]["classes"] = ["stud_brick"]
    run["tables"] = {"methods": ["patchcore"]}
    target = "results/small/metrics/patchcore/stud_brick/seed0.json"
    printed = checkout.succeed(["config/demo.yaml", checkout.write_config(run)], target)
    assert "Warning" not in printed
    results = checkout.folder / "results/small"
    record = json.loads((checkout.folder / target).read_text())
    assert record["provenance"]["config"]["settings"]["model"] == "Patchcore"
    assert [path.stem for path in (results / "weights").iterdir()] == [LITE0]
    assert (results / "models/patchcore/stud_brick/seed0.safetensors").stat().st_size < 1_000_000, "without its network"
    with ScoreFile(results / "scores/patchcore/stud_brick/seed0.h5") as scores:
        assert scores.map(0).shape == (5, 64, 64)
        assert scores.provenance["weights_sha256"].keys() == {LITE0}
    assert "Selecting Coreset Indices" in (results / "logs/train_model/patchcore/stud_brick/seed0.log").read_text()
    left = {path.name for path in checkout.folder.iterdir()} - set(PARTS)
    assert left == {"results", "test.yaml", ".snakemake"}, "no folders of Lightning or of the library"
