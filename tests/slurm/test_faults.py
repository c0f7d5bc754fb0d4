"""What goes wrong on a cluster, done to real jobs; every run ends in the numbers of an undisturbed one."""

from __future__ import annotations

import re
import signal

import pytest
from checkout import Checkout
from cluster import Cluster
from slurm_checkout import EPOCHS, METRICS, Running, SlurmCheckout


def resumed(checkout: SlurmCheckout) -> None:
    """The second training has gone on from the first one's checkpoint: the log names the epochs."""
    log = checkout.log("train_flow")
    epochs = re.findall(r"resumed from \S+ after epoch (\d+)", log)
    assert len(epochs) == 1, log
    assert 0 < int(epochs[0]) < EPOCHS
    assert log.count(f"epoch {EPOCHS}/{EPOCHS},") == 1, log


def test_a_cancelled_job_is_submitted_again(checkout: SlurmCheckout, finished: Checkout, cluster: Cluster) -> None:
    checkout.order("train_flow", "freeze")
    with Running(checkout) as run:
        job = checkout.wait_frozen()
        cluster.call("scancel", job["JobId"])
        run.succeed()
    first, second = checkout.jobs("train_flow")
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    # What a rule asks for grows with the attempt.
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("12000M", "24000M")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("01:00:00", "02:00:00")
    resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_training_goes_on_after_its_time_limit(checkout: SlurmCheckout, finished: Checkout, cluster: Cluster) -> None:
    checkout.order("train_flow", "freeze")
    checkout.change_profile("train_flow", runtime="attempt")
    with Running(checkout) as run:
        checkout.wait_frozen()
        run.succeed()
    first, second = checkout.jobs("train_flow")
    assert (first["JobState"], second["JobState"]) == ("TIMEOUT", "COMPLETED")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("00:01:00", "00:02:00")
    resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_job_over_its_memory_gets_more(checkout: SlurmCheckout, finished: Checkout) -> None:
    checkout.order("evaluate_flow", "memory")
    checkout.change_profile("evaluate_flow", mem_mb="1500 * attempt")
    with Running(checkout) as run:
        run.succeed()
    first, second = checkout.jobs("evaluate_flow")
    assert first["JobState"] != "COMPLETED"
    assert second["JobState"] == "COMPLETED"
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("1500M", "3000M")
    assert "exceeded memory limit" in run.printed + checkout.slurm_log(first)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_broken_node(checkout: SlurmCheckout, finished: Checkout, cluster: Cluster) -> None:
    checkout.order("train_flow", "freeze")
    with Running(checkout) as run:
        node = checkout.wait_frozen()["NodeList"]
        cluster.break_node(node)
        try:
            run.succeed()
        finally:
            cluster.repair_node(node)
    assert {job["JobState"] for job in checkout.jobs("train_flow")} == {"COMPLETED"}
    assert checkout.jobs("train_flow")[-1]["NodeList"] != node
    resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_preempted_job_is_queued_again(checkout: SlurmCheckout, finished: Checkout, cluster: Cluster) -> None:
    checkout.order("train_flow", "freeze")
    with Running(checkout) as run:
        job = checkout.wait_frozen()
        urgent = ["--partition=urgent", f"--nodelist={job['NodeList']}", "--nodes=1", "--gres=gpu:2", "--parsable"]
        identifier = cluster.call("sbatch", *urgent, "--output=/dev/null", "--wrap=sleep 600").strip()
        cluster.wait(lambda: cluster.job(identifier)["JobState"] == "RUNNING", "the urgent job to run")
        cluster.call("scancel", identifier)
        run.succeed()
    (job,) = checkout.jobs("train_flow")
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1")
    resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_controller_that_is_away_for_half_a_minute(
    checkout: SlurmCheckout, finished: Checkout, cluster: Cluster
) -> None:
    checkout.order("train_flow", "freeze")
    with Running(checkout) as run:
        checkout.wait_frozen()
        cluster.stop_controller()
        try:
            with pytest.raises(TimeoutError):
                cluster.wait(lambda: run.process.poll() is not None, "Snakemake to give up", 30)
        finally:
            cluster.start_controller()
        (process,) = checkout.processes()
        process.send(signal.SIGCONT)
        run.succeed()
    (job,) = checkout.jobs("train_flow")
    assert job["JobState"] == "COMPLETED"
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()
