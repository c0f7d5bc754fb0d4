"""The inspection command on a sample copied out of the data set."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
from checkout import Checkout

from multiflow.metrics.ranking import sample_scores
from multiflow.scores import ScoreFile

RUN = "multiflow/stud_brick/seed0"


def test_a_sample_of_the_test_set_gets_the_score_of_its_evaluation(rendered: Checkout, tmp_path: Path) -> None:
    results = rendered.folder / "results/small"
    with open(results / "samples/stud_brick.csv", newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"]
    sample = next(row["sample"] for row in rows if row["label"] == "1")
    views = [row for row in rows if row["sample"] == sample]
    assert {row["flip"] for row in views} == {"0", "1"}
    for row in views:
        shutil.copy(results / "dataset" / row["image"], tmp_path)

    printed = rendered.tool(
        "inspect", str(results / f"models/{RUN}.safetensors"), str(tmp_path), "--output", str(tmp_path / "out")
    )
    assert "of 2 normal and" in printed
    found = json.loads((tmp_path / "out/score.json").read_text())
    maps = np.load(tmp_path / "out/anomaly_maps.npy")
    with ScoreFile(results / f"scores/{RUN}.h5") as scores:
        index = scores.samples.index(sample)
        assert [view["score"] for view in found["views"]] == scores.image_scores[index].tolist()
        for rule, values in sample_scores(scores.image_scores).items():
            assert found["sample_score"][rule] == values[index]
        assert found["sample_score"]["top1"] <= found["sample_score"]["max"]
        for view, row in enumerate(views):
            expected = scores.map(index)[view]
            assert np.array_equal(maps[view], expected[:, ::-1] if row["flip"] == "1" else expected)
