"""A method in one file outside of the repository runs on the cluster as any other does."""

from __future__ import annotations

import json
from pathlib import Path

from checkout import Checkout
from cluster import Cluster
from recipes import recipe
from slurm_checkout import OVERLAYS, RESULTS, SlurmCheckout

PARTITIONS = {"train_model": "gpu", "score_samples": "gpu", "count_metrics": "cpu"}


def test_a_method_in_one_file_outside_of_the_repository(finished: Checkout, cluster: Cluster, tmp_path: Path) -> None:
    checkout = SlurmCheckout(tmp_path / "checkout", cluster, finished)
    file = tmp_path / "elsewhere/my_detector.py"
    file.parent.mkdir()
    file.write_text(recipe("my_detector.py"))
    own = {"method": f"{file}:NearestNeighbour", "features": "lite0", "seeds": [0], "classes": ["coin_cell"]}
    checkout.write_config({"experiments": {"mine": own}}, "mine.yaml")
    metrics = RESULTS / "metrics/mine/coin_cell/seed0.json"
    checkout.succeed([*OVERLAYS, "mine.yaml"], str(metrics))
    for rule, partition in PARTITIONS.items():
        (job,) = checkout.jobs(rule)
        assert (job["Partition"], job["JobState"]) == (partition, "COMPLETED"), rule
    assert len(checkout.jobs()) == len(PARTITIONS)
    record = json.loads((checkout.folder / metrics).read_text())
    assert 0 <= record["metrics"]["sample_auroc"] <= 1
    assert record["provenance"]["config"]["method"] == own["method"]
