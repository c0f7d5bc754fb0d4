"""Every mistake that a site's settings can hold, on a real cluster: one line, and nothing is submitted."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import Checkout
from cluster import Cluster
from slurm_checkout import METRICS, OVERLAYS, SlurmCheckout

from multiflow.cluster import Request, Settings, check_site, probe_nodes

GPU = Request("train_model", partition="gpu", gpus=1, mem_mb=12000, runtime=60)
CPU = Request("flip_views", partition="cpu", mem_mb=2000, runtime=60)
SECONDS = 120  # for a small job on a machine that does other things as well


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """The cluster, for this process."""
    monkeypatch.setenv("PATH", cluster.path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return cluster


@pytest.fixture
def checkout(cluster: Cluster, tmp_path: Path) -> Iterator[SlurmCheckout]:
    """A fresh checkout; its run would submit jobs to both partitions."""
    checkout = SlurmCheckout(tmp_path / "checkout", cluster)
    before = len(cluster.jobs())
    yield checkout
    assert len(cluster.jobs()) == before, "a job was submitted"


def problems(tmp_path: Path, *requests: Request, status_command: str = "squeue") -> list[str]:
    """What the check without jobs finds wrong; it must not take long."""
    started = time.monotonic()
    findings = check_site(requests, Settings(status_command, 1, tmp_path / "results"))
    assert time.monotonic() - started < 30
    return [finding.text for finding in findings if not finding.good]


def refused(checkout: Checkout, *arguments: str) -> list[str]:
    """Lines that Snakemake ends with, instead of submitting anything."""
    result = checkout.run(OVERLAYS, *arguments, str(METRICS))
    assert result.returncode == 1
    printed = result.stdout + result.stderr
    assert "Traceback" not in printed
    assert "has been submitted" not in printed
    return printed.rpartition("\ntotal ")[2].strip().splitlines()[2:]


def test_a_good_site(site: Cluster, tmp_path: Path) -> None:
    assert problems(tmp_path, GPU, CPU) == []


def test_a_partition_that_does_not_exist(site: Cluster, tmp_path: Path) -> None:
    (line,) = problems(tmp_path, CPU, Request("train_model", partition="a100", gpus=1))
    assert line.startswith("partition a100: there is none; this cluster has cpu, gpu, urgent: change the name")


def test_a_gpu_model_that_does_not_exist(site: Cluster, tmp_path: Path) -> None:
    (line,) = problems(tmp_path, Request("train_model", partition="gpu", gpus=1, gpu_model="a100"))
    assert line == "GPU model a100: partition gpu has h100; change gpu_model at the top of slurm/config.yaml"
    assert problems(tmp_path, Request("train_model", partition="gpu", gpus=1, gpu_model="h100")) == []


def test_a_partition_without_gpus(site: Cluster, tmp_path: Path) -> None:
    (line,) = problems(tmp_path, Request("train_model", partition="cpu", gpus=1))
    assert line.startswith("GPU: partition cpu has none")


def test_an_account_that_is_refused(site: Cluster, tmp_path: Path) -> None:
    site.call("scontrol", "update", "PartitionName=urgent", "AllowAccounts=physics")
    try:
        (line,) = problems(tmp_path, Request("train_model", partition="urgent", account="chemistry", runtime=10))
    finally:
        site.call("scontrol", "update", "PartitionName=urgent", "AllowAccounts=ALL")
    assert line == (
        "account chemistry: partition urgent is open to physics; change the account at the top of slurm/config.yaml"
    )


def test_a_limit_that_is_longer_than_the_partition_allows(site: Cluster, tmp_path: Path) -> None:
    (line,) = problems(tmp_path, Request("train_model", 3, "urgent", gpus=1, runtime=180))
    assert line.startswith("time limit: attempt 3 of train_model asks for 180 min, partition urgent allows 60:")


def test_more_memory_than_a_node_has(site: Cluster, tmp_path: Path) -> None:
    (line,) = problems(tmp_path, Request("train_model", partition="gpu", gpus=1, mem_mb=10**6, runtime=60))
    assert "a node there has 16 CPU, 256000 MB, gpu:h100:2" in line


def test_sacct_without_accounting(site: Cluster, tmp_path: Path) -> None:
    (line,) = problems(tmp_path, CPU, status_command="sacct")
    assert line.startswith("status of jobs: sacct fails (Slurm accounting storage is disabled)")


def test_an_old_slurm(site: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/sbatch").write_text(
        f'#!/bin/sh\n[ "$1" = --version ] && echo "slurm 20.11.9" && exit\nexec {site.folder}/bin/sbatch "$@"\n'
    )
    (tmp_path / "bin/sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{site.path}")
    (line,) = problems(tmp_path, CPU)
    assert line.startswith("version: Slurm 20.11.9 is older than 22.05")


def test_a_home_directory_over_its_quota(site: Cluster, tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, before[1]))
    try:
        home, here, results = problems(tmp_path, CPU)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert home.startswith(f"home directory: cannot write 1 MB to {tmp_path}/cache (File too large)")
    assert here.startswith(f"this folder: cannot write to {Path.cwd()} (File too large)")
    assert results.startswith(f"results: cannot write to {tmp_path}/results (File too large)")


def test_a_controller_that_is_away(site: Cluster, tmp_path: Path) -> None:
    site.stop_controller()
    try:
        (line,) = problems(tmp_path, CPU)
    finally:
        site.start_controller()
    assert line.startswith("controller: it does not answer (")


def test_snakemake_says_all_of_it_before_it_submits(checkout: SlurmCheckout) -> None:
    profile = checkout.folder / "profiles/slurm/config.yaml"
    text = profile.read_text()
    for line, changed in (
        ("gpu_model = None", 'gpu_model = "a100"'),
        ('cpu_partition = "cpu"', 'cpu_partition = "long"'),
    ):
        assert line in text
        text = text.replace(line, changed)
    profile.write_text(text)
    checkout.write_config({"rendering": None, "dataset": {"root": "nowhere", "image_folder": "images"}}, "data.yaml")
    result = checkout.run([*OVERLAYS, "data.yaml"], "--slurm-status-command", "sacct", str(METRICS))
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)
    lines = [line for line in result.stderr.splitlines() if re.match(r"(data|status|partition|GPU)[\w ]*: ", line)]
    assert [line.split(":")[0] for line in lines] == ["data set", "status of jobs", "partition long", "GPU model a100"]
    assert lines[0] == "data set: nowhere: expected the folder of the data set, found none; set dataset.root"


def test_a_misspelt_rule_is_all_that_is_said(checkout: SlurmCheckout) -> None:
    profile = checkout.folder / "profiles/slurm/config.yaml"
    profile.write_text(profile.read_text().replace("train_model:", "train_modle:"))
    (line,) = refused(checkout)
    assert line.startswith("set-resources: there is no rule train_modle, and Snakemake ignores it without a word;")


def test_the_check_looks_at_nodes_and_submits_nothing_else(cluster: Cluster, tmp_path: Path) -> None:
    checkout = SlurmCheckout(tmp_path / "checkout", cluster)
    result = checkout.run(OVERLAYS, "check_site")
    assert result.returncode == 1
    lines = [line for line in result.stdout.splitlines() if line.startswith(("ok  ", "FIX "))]
    (problem,) = [line for line in lines if line.startswith("FIX ")]
    assert "CUDA does not compute on the GPU" in problem, "this cluster's GPUs are pretended"
    for text in ("version: Slurm", "train_model: 1 GPU", "node of gpu with GPU", "node of cpu without GPU"):
        assert any(line.startswith(f"ok   {text}") for line in lines), text
    jobs = [job["JobName"] for job in cluster.jobs() if job["WorkDir"] == str(checkout.folder)]
    assert set(jobs) == {"multiflow-site-check"}
    assert not (checkout.folder / METRICS).exists()


def test_a_run_on_cpus_stays_out_of_the_gpu_partition(cluster: Cluster, tmp_path: Path) -> None:
    checkout = SlurmCheckout(tmp_path / "checkout", cluster)
    profile = checkout.folder / "profiles/slurm/config.yaml"
    profile.write_text(profile.read_text().replace("gpu_model = None", 'gpu_model = "h100"'))
    checkout.write_config({"compute": {"device": "cpu"}}, "cpu.yaml")
    checkout.write_config({"compute": {"workers": 1}}, "workers.yaml")

    def accepted(*more: str) -> set[str]:
        printed = checkout.run([*OVERLAYS, *more], "check_site").stdout
        lines = re.findall(r"^ok   ([\w +]+): (.*), \d+ MB, \d+ min in (\w+) accepted$", printed, re.MULTILINE)
        return {": ".join(line) for line in lines}

    jobs = {"render_class", "flip_views", "segment_foreground", "count_metrics"}
    jobs |= {"plot_class", "plot_training", "plot_metrics"}
    networks = {"extract_features", "train_model", "score_samples"}
    on_gpus, on_cpus = accepted("workers.yaml"), accepted("cpu.yaml")
    assert {line for line in on_gpus if "h100" in line} == {
        f"{rule}: 1 GPU h100, {1 + (rule == 'extract_features')} CPU: gpu" for rule in networks
    }
    assert {line.split(":")[0] for line in on_gpus if line.endswith(" 1 CPU: cpu")} == jobs
    assert {line.split(":")[0] for line in on_cpus if line.endswith(" CPU: cpu")} == jobs | networks
    assert len(on_cpus) == len(jobs | networks)
    # An experiment may have its own device, also where its seeds are submitted together.
    profile.write_text(profile.read_text().replace("group_seeds = False", "group_seeds = True"))
    checkout.write_config({"experiments": {"no_cross_view": {"compute": {"device": "cpu"}}}}, "mixed.yaml")
    together = {line for line in accepted("mixed.yaml") if line.startswith("score_samples + train_model")}
    assert together == {f"score_samples + train_model: {place}" for place in ("1 GPU h100, 1 CPU: gpu", "1 CPU: cpu")}


def test_snakemake_itself_needs_no_home_directory(checkout: SlurmCheckout, monkeypatch: pytest.MonkeyPatch) -> None:
    home = checkout.folder / "home"
    home.mkdir()
    (home / ".cache").write_text("a file in the way, for root as well")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    lines = refused(checkout)
    assert len(lines) == 1, lines
    assert lines[0].startswith(f"home directory: cannot write 1 MB to {home}/.cache (File exists)")


def test_what_a_node_sees(site: Cluster, tmp_path: Path) -> None:
    findings = probe_nodes([CPU, GPU, Request("score_samples", partition="gpu", gpus=1)], tmp_path, SECONDS)
    found = [(re.sub(r" \(.*?\)", "", finding.text.split(": ")[0]), finding.good) for finding in findings]
    cpu, gpu = "node of cpu without GPU", "node of gpu with GPU"
    assert found == [(cpu, True), (cpu, True), (gpu, True), (gpu, True), (gpu, False)]
    assert "environment imported, Python 3." in findings[1].text
    assert "CUDA does not compute on the GPU" in findings[4].text
    assert re.search(r"CUDA_VISIBLE_DEVICES=[01]\)", findings[4].text), "the job was not given the node's GPU"
    assert list(tmp_path.glob(".site-check-*")) == []


def test_a_node_without_the_data(site: Cluster, tmp_path: Path) -> None:
    found = probe_nodes([CPU], tmp_path, SECONDS, str(tmp_path / "nowhere"))
    assert [finding.good for finding in found] == [True, False, True]
    assert found[1].text.endswith(
        f"does not see the data set, {tmp_path}/nowhere; set dataset.root to a folder that all nodes see"
    )


def test_a_node_without_the_environment(site: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "not-there/python"))
    (finding,) = probe_nodes([CPU], tmp_path, SECONDS)
    assert not finding.good
    assert finding.text.startswith("node of cpu without GPU: the job ended as FAILED (")
    assert "not-there/python" in finding.text
    assert finding.text.endswith("MULTIFLOW_ENVS=<shared folder> make env")


def test_a_full_queue_is_said_and_waited_for_no_longer(site: Cluster, tmp_path: Path) -> None:
    site.call("scontrol", "update", "NodeName=node3", "State=DRAIN", "Reason=full")
    try:
        (finding,) = probe_nodes([CPU], tmp_path, 3)
    finally:
        site.call("scontrol", "update", "NodeName=node3", "State=RESUME")
    assert not finding.good
    assert finding.text.startswith("node of cpu without GPU: the job is still pending after 3 s (")
    site.wait(lambda: site.jobs()[-1]["JobState"] == "CANCELLED", "the small job to be cancelled")
