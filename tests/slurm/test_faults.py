"""What goes wrong on a cluster, done to real jobs; every run ends in the numbers of an undisturbed one."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checkout import Checkout
from cluster import Cluster
from slurm_checkout import EPOCHS, METRICS, OVERLAYS, RESULTS, RUN, Running, SlurmCheckout


def resumed(checkout: SlurmCheckout) -> None:
    """The second training has gone on from the first one's checkpoint: the log names the epoch."""
    log = checkout.log("train_model")
    epochs = re.findall(r"resumed from \S+ after (\d+) steps", log)
    assert len(epochs) == 1, log
    assert 0 < int(epochs[0]) < EPOCHS
    assert log.count(f"trained {EPOCHS} of {EPOCHS} epochs,") == 1, log


def test_a_cancelled_job_is_submitted_again(checkout: SlurmCheckout, finished: Checkout, cluster: Cluster) -> None:
    checkout.order("train_model", "freeze")
    with Running(checkout) as run:
        job = checkout.wait_frozen()
        cluster.call("scancel", job["JobId"])
        run.succeed()
    first, second = checkout.jobs("train_model")
    assert (first["JobState"], second["JobState"]) == ("CANCELLED", "COMPLETED")
    # What a rule asks for grows with the attempt.
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("12000M", "24000M")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("01:00:00", "02:00:00")
    resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()
    assert "Nothing to be done" in checkout.succeed(OVERLAYS, str(METRICS), "-n")


def test_a_training_goes_on_after_its_time_limit(checkout: SlurmCheckout, finished: Checkout, cluster: Cluster) -> None:
    checkout.order("train_model", "freeze")
    with Running(checkout) as run:
        job = checkout.wait_frozen()
        # A minute is the least, and a job need not come as far within one.
        cluster.call("scontrol", "update", f"JobId={job['JobId']}", "TimeLimit=1")
        run.succeed()
    first, second = checkout.jobs("train_model")
    assert (first["JobState"], second["JobState"]) == ("TIMEOUT", "COMPLETED")
    assert (first["TimeLimit"], second["TimeLimit"]) == ("00:01:00", "02:00:00")
    resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_job_over_its_memory_gets_more(checkout: SlurmCheckout, finished: Checkout) -> None:
    checkout.order("score_samples", "memory 60")
    checkout.change_profile("score_samples", mem_mb="1800 * attempt")
    with Running(checkout) as run:
        run.succeed()
    first, second = checkout.jobs("score_samples")
    assert first["JobState"] != "COMPLETED"
    assert second["JobState"] == "COMPLETED"
    assert (first["MinMemoryNode"], second["MinMemoryNode"]) == ("1800M", "3600M")
    assert "exceeded memory limit" in run.printed + checkout.slurm_log(first)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_broken_node(checkout: SlurmCheckout, finished: Checkout, cluster: Cluster) -> None:
    checkout.order("train_model", "freeze")
    with Running(checkout) as run:
        node = checkout.wait_frozen()["NodeList"]
        cluster.break_node(node)
        try:
            run.succeed()
        finally:
            cluster.repair_node(node)
    assert {job["JobState"] for job in checkout.jobs("train_model")} == {"COMPLETED"}
    assert checkout.jobs("train_model")[-1]["NodeList"] != node
    resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_preempted_job_is_queued_again(checkout: SlurmCheckout, finished: Checkout, cluster: Cluster) -> None:
    checkout.order("train_model", "freeze")
    with Running(checkout) as run:
        job = checkout.wait_frozen()
        urgent = ["--partition=urgent", f"--nodelist={job['NodeList']}", "--nodes=1", "--gres=gpu:2", "--parsable"]
        identifier = cluster.call("sbatch", *urgent, "--output=/dev/null", "--wrap=sleep 600").strip()
        cluster.wait(lambda: cluster.job(identifier)["JobState"] == "RUNNING", "the urgent job to run")
        cluster.call("scancel", identifier)
        run.succeed()
    (job,) = checkout.jobs("train_model")
    assert (job["JobState"], job["Restarts"]) == ("COMPLETED", "1")
    resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_controller_that_is_away_for_half_a_minute(
    checkout: SlurmCheckout, finished: Checkout, cluster: Cluster
) -> None:
    checkout.order("train_model", "freeze")
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
        assert "it is asked again" in run.succeed()
    (job,) = checkout.jobs("train_model")
    assert job["JobState"] == "COMPLETED"
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_ctrl_c_cancels_the_jobs_and_the_next_run_goes_on(checkout: SlurmCheckout, finished: Checkout) -> None:
    checkout.order("train_model", "freeze")
    with Running(checkout) as run:
        checkout.wait_frozen()
        run.process.send_signal(signal.SIGINT)
        assert run.finish() != 0
    checkout.cluster.wait(lambda: checkout.jobs("train_model")[0]["JobState"] == "CANCELLED", "the job to be cancelled")
    with Running(checkout) as run:
        run.succeed()
    assert len(checkout.jobs("train_model")) == 2
    resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_sigterm_waits_for_the_jobs_and_the_next_run_goes_on(checkout: SlurmCheckout, finished: Checkout) -> None:
    checkout.order("train_model", "freeze")
    with Running(checkout) as run:
        checkout.wait_frozen()
        run.process.send_signal(signal.SIGTERM)
        checkout.cluster.wait(lambda: "Will exit after finishing" in run.printed, "Snakemake to notice")
        (process,) = checkout.processes()
        process.send(signal.SIGCONT)
        assert run.finish() != 0
    with Running(checkout) as run:
        run.succeed()
    (job,) = checkout.jobs("train_model")
    assert job["JobState"] == "COMPLETED"
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_killed_snakemake_leaves_no_second_writer(
    checkout: SlurmCheckout, finished: Checkout, cluster: Cluster
) -> None:
    checkout.order("train_model", "freeze")
    with Running(checkout) as run:
        checkout.wait_frozen()
        # A second one is refused as long as this one lives.
        second = checkout.run(OVERLAYS, str(METRICS))
        assert second.returncode == 1
        refusal = f"another Snakemake submits jobs from here (process {run.process.pid} on {os.uname().nodename})"
        assert refusal in second.stderr
        assert len(checkout.jobs()) == 1
        run.process.kill()
    other = ["sbatch", "--parsable", f"--chdir={checkout.folder}", "--output=/dev/null", "--wrap=sleep 600"]
    other_job = cluster.call(*other).strip()
    with Running(checkout) as run:
        printed = run.succeed()
    assert "Cancelled 1 job that an earlier Snakemake had left in the queue." in printed
    first, second_job = checkout.jobs("train_model")
    assert (first["JobState"], second_job["JobState"]) == ("CANCELLED", "COMPLETED")
    assert first["EndTime"] <= second_job["StartTime"]
    assert cluster.job(other_job)["JobState"] == "RUNNING", "the user's own job was cancelled"
    assert not list((checkout.folder / RESULTS).rglob(".*.partial"))
    resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


@pytest.fixture
def small_disk() -> Iterator[Callable[[Path], None]]:
    """Put a folder on a disk of 4 kB."""
    mounted: list[Path] = []

    def mount(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if result.returncode != 0:
            if os.environ.get("REQUIRE_PROGRAMS"):
                pytest.fail(result.stderr)
            pytest.skip(f"a small disk needs root: {result.stderr}")
        mounted.append(folder)

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], timeout=60, check=True)


def test_a_full_disk_is_one_line_and_leaves_nothing(
    checkout: SlurmCheckout, finished: Checkout, small_disk: Callable[[Path], None]
) -> None:
    folder = checkout.folder / RESULTS / "scores" / RUN.split("/")[0]
    small_disk(folder)
    with Running(checkout, "--retries", "0", str(METRICS)) as run:
        assert run.finish() == 1
    name = RESULTS / "scores" / f"{RUN}.h5"
    line = f"{name}: cannot be written whole: No space left on device; make room in {name.parent} and start again"
    assert re.findall(r" ERROR (.*)", checkout.log("score_samples")) == [line]
    assert "Traceback" not in checkout.log("score_samples")
    assert line in run.printed, "the line is not shown to the user"
    assert not [path for path in folder.rglob("*") if path.is_file()]
    subprocess.run(["mount", "-o", "remount,size=100m", str(folder)], timeout=60, check=True)
    with Running(checkout) as run:
        run.succeed()
    assert len(checkout.jobs("train_model")) == 1
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


def test_a_corrupt_file_is_one_line_and_made_again_when_deleted(checkout: SlurmCheckout, finished: Checkout) -> None:
    name = RESULTS / "foreground/threshold/coin_cell.h5"
    path = checkout.folder / name
    times = path.stat()
    path.write_bytes(path.read_bytes()[: times.st_size // 2])
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with Running(checkout, "--retries", "0", str(METRICS)) as run:
        assert run.finish() == 1
    line = rf"{name}: expected a whole foreground file, cannot read it \(.*\); delete it and rerun$"
    assert re.search(line, run.printed, re.MULTILINE), "the line is not shown to the user"
    path.unlink()
    with Running(checkout) as run:
        run.succeed()
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        ("gpu node1", "CUDA error: uncorrectable ECC error encountered"),
        # Its driver has failed: nothing is computed on the CPU instead.
        ("no-cuda node1", "compute.device: CUDA finds no GPU, but CUDA_VISIBLE_DEVICES={given} names one ("),
    ],
)
def test_a_gpu_that_fails(checkout: SlurmCheckout, finished: Checkout, order: str, reason: str) -> None:
    checkout.order("train_model", order)
    with Running(checkout) as run:
        run.succeed()
    first, second = checkout.jobs("train_model")
    assert (first["NodeList"], first["JobState"]) == ("node1", "FAILED")
    assert (second["NodeList"], second["ExcNodeList"], second["JobState"]) == ("node2", "node1", "COMPLETED")
    if "{given}" in reason:
        # Slurm gives either GPU of the node.
        reason = reason.format(given=(checkout.folder / "sabotage/given").read_text())
    line = rf"^GPU of node1 failed: {re.escape(reason)}.*; a second attempt runs on another node$"
    assert re.search(line, run.printed, re.MULTILINE), "the line is not shown to the user"
    if order.startswith("gpu"):
        resumed(checkout)
    assert checkout.metrics() == (finished.folder / METRICS).read_bytes()
