"""The inspection command on a sample copied out of the data set."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from checkout import TIMEOUT, Checkout

from multiflow.scores import ScoreFile

FLOW = "flows/multiflow/stud_brick/seed0"


def test_a_sample_of_the_test_set_gets_the_score_of_its_evaluation(rendered: Checkout, tmp_path: Path) -> None:
    results = rendered.folder / "results/small"
    with open(results / "samples/stud_brick.csv", newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    sample = next(row["sample"] for row in rows if row["label"] == "1")
    views = [row for row in rows if row["sample"] == sample]
    assert {row["flip"] for row in views} == {"0", "1"}
    for row in views:
        shutil.copy(results / "dataset" / row["image"], tmp_path)

    result = subprocess.run(
        [
            sys.executable, "-m", "multiflow", "inspect", results / f"{FLOW}.safetensors", tmp_path,
            "--output", tmp_path / "out",
        ],
        cwd=rendered.folder / "src", env=rendered.environment(),
        capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert "of 2 normal and" in result.stdout
    found = json.loads((tmp_path / "out/score.json").read_text())
    maps = np.load(tmp_path / "out/anomaly_maps.npy")
    with ScoreFile(results / f"scores/{FLOW.removeprefix('flows/')}.h5") as scores:
        index = scores.samples.index(sample)
        assert [view["score"] for view in found["views"]] == scores.image_scores[index].tolist()
        assert found["sample_score"] == {rule: scores.sample_scores(rule)[index] for rule in ("max", "mean")}
        for view, row in enumerate(views):
            expected = scores.map(index)[view]
            assert np.array_equal(maps[view], expected[:, ::-1] if row["flip"] == "1" else expected)
