"""Seeds that share a submission or a job: one allocation, one GPU, and nothing done twice when it is lost."""

from __future__ import annotations

import pytest
from checkout import Checkout
from cluster import Cluster
from slurm_checkout import METRICS, RESULTS, Running, SlurmCheckout, slurm_run

SEEDS = (0, 1)


@pytest.fixture
def grouped(checkout: SlurmCheckout) -> SlurmCheckout:
    """A checkout whose site groups seeds, and whose features go when nothing needs them any more."""
    profile = checkout.folder / "profiles/slurm/config.yaml"
    text = profile.read_text()
    assert text.count("group_seeds = False") == 1
    profile.write_text(text.replace("group_seeds = False", "group_seeds = True"))
    run = slurm_run()
    shared = {"seeds": list(SEEDS), "classes": ["coin_cell"]}
    run["experiments"] |= {"multiflow": {"seeds": list(SEEDS)}, "background_ignored": shared}
    run["keep"] = {"features": False}
    checkout.write_config(run)
    return checkout


def numbers(checkout: Checkout, seed: int) -> list[str]:
    """The lines of one seed's metrics."""
    lines = (checkout.folder / METRICS).read_text().splitlines()
    return [line for line in lines if f"multiflow,coin_cell,{seed}," in line]


def lose_between_seeds(checkout: SlurmCheckout, cluster: Cluster, comment: str) -> tuple[str, dict[str, str]]:
    """Cancel the submission when one seed is trained and the other has a checkpoint; Snakemake submits it again.

    Returns:
        The trained seed, and the submission that was lost.
    """
    models = checkout.folder / RESULTS / "models/multiflow/coin_cell"
    with Running(checkout) as run:

        def first_is_done() -> bool:
            assert run.process.poll() is None, run.printed[-6000:]
            return any(models.glob("*.safetensors"))

        cluster.wait(first_is_done, "the first seed's model", 120)
        checkout.order("train_model", "freeze")
        (first,) = (path.stem for path in models.glob("*.safetensors"))
        orders = checkout.folder / "sabotage/train_model"
        cluster.wait(lambda: not orders.exists(), "the second seed's first checkpoint", 120)
        (submission,) = checkout.jobs(comment)
        cluster.call("scancel", submission["JobId"])
        run.succeed()
    lost, repeated = checkout.jobs(comment)
    assert (lost["JobState"], repeated["JobState"]) == ("CANCELLED", "COMPLETED")
    assert {job["JOB_GRES"] for job in (lost, repeated)} == {"gpu:h100:1"}
    return first, lost


def test_seeds_share_a_submission_and_a_finished_one_is_not_trained_again(
    grouped: SlurmCheckout, finished: Checkout, cluster: Cluster
) -> None:
    first, lost = lose_between_seeds(grouped, cluster, "multiflow.coin_cell")
    # The seeds take turns: time for both, but memory and processors for one.
    assert (lost["MinMemoryNode"], lost["NumCPUs"], lost["TimeLimit"]) == ("12000M", "1", "03:00:00")
    # Metrics are counted without a GPU; an experiment that shares models submits nothing but its scorings.
    (counting,) = grouped.jobs("metrics.multiflow.coin_cell")
    assert (counting["JobState"], counting["Partition"], counting.get("JOB_GRES")) == ("COMPLETED", "cpu", "(null)")
    (scoring,) = grouped.jobs("background_ignored.coin_cell")
    assert (scoring["JobState"], scoring["JOB_GRES"], scoring["TimeLimit"]) == ("COMPLETED", "gpu:h100:1", "01:00:00")
    assert not (grouped.folder / RESULTS / "models/background_ignored").exists()
    for seed in SEEDS:
        log = (grouped.folder / RESULTS / f"logs/train_model/multiflow/coin_cell/seed{seed}.log").read_text()
        assert ("its model is used again" in log) == (f"seed{seed}" == first), log
        assert ("resumed from" in log) == (f"seed{seed}" != first), log
    assert numbers(grouped, 0) == numbers(finished, 0) != []
    assert len(numbers(grouped, 1)) == len(numbers(finished, 0))
    assert not list((grouped.folder / RESULTS / "features").rglob("*.h5"))


def test_seeds_share_a_job_and_a_finished_one_is_not_trained_again(
    checkout: SlurmCheckout, finished: Checkout, cluster: Cluster
) -> None:
    run = slurm_run()
    run["experiments"] |= {"multiflow": {"seeds": list(SEEDS)}}
    checkout.write_config(run | {"seeds_together": list(SEEDS)})
    first, lost = lose_between_seeds(checkout, cluster, "train_seeds")
    assert first == "seed0"
    assert (lost["Partition"], lost["MinMemoryNode"], lost["TimeLimit"]) == ("gpu", "12000M", "02:00:00")
    assert [job["JobState"] for job in checkout.jobs("score_samples")] == 2 * ["COMPLETED"]
    log = (checkout.folder / RESULTS / "logs/train_seeds/multiflow/coin_cell.log").read_text()
    assert log.count("its model is used again") == log.count("resumed from") == 1, log
    assert "seed0.finished.safetensors: this training was finished before" in log
    assert numbers(checkout, 0) == numbers(finished, 0) != []
    assert len(numbers(checkout, 1)) == len(numbers(finished, 0))
