"""A run on Slurm: what is asked for, where it runs, and the same bytes as on one machine."""

from __future__ import annotations

from pathlib import Path

from checkout import Checkout
from cluster import Cluster
from slurm_checkout import METRICS, OVERLAYS, RESULTS, SUMMARY, SlurmCheckout

# Jobs of the rules that a network runs in, and of those without one.
GPU_RULES = {"extract_features": 1, "train_model": 2, "score_samples": 2}
CPU_RULES = {"render_class": 1, "flip_views": 1, "segment_foreground": 1, "count_metrics": 2}


def test_a_run_on_slurm_asks_for_gpus_and_makes_the_same_bytes(
    finished: Checkout, cluster: Cluster, tmp_path: Path
) -> None:
    checkout = SlurmCheckout(tmp_path / "checkout", cluster)
    checkout.succeed(OVERLAYS, str(SUMMARY))
    for rules, partition, gres, nodes in (
        (GPU_RULES, "gpu", "gpu:h100:1", {"node1", "node2"}),
        (CPU_RULES, "cpu", "(null)", {"node3"}),
    ):
        for rule, count in rules.items():
            jobs = checkout.jobs(rule)
            assert len(jobs) == count, rule
            for job in jobs:
                assert job["JobState"] == "COMPLETED", job
                assert (job["Partition"], job.get("JOB_GRES")) == (partition, gres), job
                assert job["NodeList"] in nodes, job
    assert len(checkout.jobs()) == sum({**GPU_RULES, **CPU_RULES}.values())
    assert {job["MinMemoryNode"] for job in checkout.jobs("train_model")} == {"12000M"}
    tables = sorted(path.relative_to(finished.folder) for path in (finished.folder / RESULTS / "tables").glob("*.*"))
    assert len(tables) >= 14
    for name in (METRICS, SUMMARY, *tables):
        assert (checkout.folder / name).read_bytes() == (finished.folder / name).read_bytes(), name
