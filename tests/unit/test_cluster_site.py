"""The checks of a Slurm site on what Slurm 22.05 printed, where programs that print it again stand for Slurm."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import snakemake_executor_plugin_slurm as plugin

from multiflow.cluster import ask_until_answered, site
from multiflow.cluster.probe import _judge
from multiflow.cluster.site import Settings, check_site
from multiflow.cluster.slurm import Request, ask, partitions

PARTITIONS = (
    "PartitionName=cpu AllowAccounts=ALL AllowQos=ALL Default=YES MaxTime=2-12:00:00 State=UP Nodes=n3\n"
    "PartitionName=gpu AllowAccounts=ALL AllowQos=ALL Default=NO MaxTime=02:00:00 State=UP Nodes=n[1-2]\n"
    "PartitionName=own AllowAccounts=bio,chem AllowQos=ALL Default=NO MaxTime=UNLIMITED State=UP\n"
    "PartitionName=old DenyAccounts=bio AllowQos=ALL Default=NO MaxTime=30:00 State=INACTIVE\n"
)
RECORDED = {
    "scontrol show config": ("MinJobAge               = 300 sec\nSLURM_VERSION           = 22.05.8\n", 0),
    "scontrol show partition": (PARTITIONS, 0),
    "sbatch --version": ("slurm-wlm 22.05.8\n", 0),
    "sbatch --test-only": ("sbatch: Job 2 to start at 2026-11-23T23:55:19 using 1 processors on nodes n1\n", 0),
    "sacct -X": ("Slurm accounting storage is disabled\n", 1),
    "sacctmgr --noheader": ("physics\nroot\n", 0),
    "sinfo --noheader": ("4 CPU, 8000 MB, gpu:h100:2\n", 0),
}
NOT_AVAILABLE = ("allocation failure: Requested node configuration is not available\n", 1)
NO_ACCOUNT = ("allocation failure: Invalid account or account/partition combination specified\n", 1)
GPU = Request("train_model", partition="gpu", gpus=1, mem_mb=6000, runtime=60)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Programs that answer as recorded, but for what a test changes."""

    def install(changes: dict[str, tuple[str, int]] | None = None) -> None:
        folder = tmp_path / "bin"
        folder.mkdir()
        answers = RECORDED | (changes or {})
        for command in ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr"):
            lines = ["#!/bin/sh"]
            for start, (text, status) in answers.items():
                if start.split()[0] == command:
                    arguments = start.split(maxsplit=1)[1]
                    lines.append(f"case \"$*\" in '{arguments}'*) cat <<'END'\n{text}END\nexit {status};; esac")
            (folder / command).write_text("\n".join(lines) + "\n")
            (folder / command).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    return install


def problems(
    tmp_path: Path, *requests: Request, command: str = "squeue", first: int = 20, needed: float = 0
) -> list[str]:
    settings = Settings(command, first, tmp_path / "results", needed)
    return [finding.text for finding in check_site(requests, settings) if not finding.good]


def test_a_good_site_is_all_green(slurm: Callable[..., None], tmp_path: Path) -> None:
    slurm()
    findings = check_site([GPU], Settings("squeue", 20, tmp_path / "results"))
    assert all(finding.good for finding in findings)
    topics = ["version", "status of jobs", "partition gpu", "train_model", "home directory", "this folder", "results"]
    assert [finding.text.split(":")[0] for finding in findings] == topics
    assert str(findings[3]) == "ok   train_model: 1 GPU, 1 CPU, 6000 MB, 60 min in gpu accepted"


@pytest.mark.parametrize(
    ("changes", "request_changes", "line"),
    [
        ({}, {"partition": "gpus"}, "partition gpus: there is none; this cluster has cpu, gpu, own, old: change"),
        ({}, {"partition": "old"}, "partition old: its state is INACTIVE"),
        ({}, {"partition": "own", "account": "Physics"}, "account Physics: partition own is open to bio, chem; change"),
        (
            {},
            {"runtime": 180},
            "time limit: attempt 1 of train_model asks for 180 min, partition gpu allows 120: the job would never "
            "start; set runtime: 120 for train_model in set-resources of slurm/config.yaml",
        ),
        (
            {},
            {"rule": "score_samples + train_model", "runtime": 180},
            "time limit: attempt 1 of score_samples + train_model asks for 180 min, partition gpu allows 120: the job "
            "would never start; set group_seeds = False at the top of slurm/config.yaml",
        ),
        (
            {"sbatch --test-only": NO_ACCOUNT},
            {"account": "chem"},
            "account chem: refused for gpu (Invalid account or account/partition combination specified); yours: "
            "physics, root; set the account at the top of slurm/config.yaml",
        ),
        (
            {"sbatch --test-only": NOT_AVAILABLE},
            {"gpu_model": "a100"},
            "GPU model a100: partition gpu has h100; change gpu_model at the top of slurm/config.yaml",
        ),
        (
            {
                "sbatch --test-only": NOT_AVAILABLE,
                "sinfo --noheader": ("4 CPU, 8000 MB, (null)\n", 0),
            },
            {"partition": "cpu"},
            "GPU: partition cpu has none; name the partition with GPUs at the top of slurm/config.yaml",
        ),
        (
            {"sbatch --test-only": NOT_AVAILABLE},
            {"mem_mb": 9000},
            "train_model: 1 GPU, 1 CPU, 9000 MB, 60 min in gpu refused (Requested node configuration is not "
            "available); a node there has 4 CPU, 8000 MB, gpu:h100:2; lower",
        ),
        ({"sbatch --version": ("slurm 20.11.9\n", 0)}, {}, "version: Slurm 20.11.9 is older than 22.05, the oldest"),
    ],
)  # fmt: skip
def test_each_mistake_is_one_line(
    slurm: Callable[..., None],
    tmp_path: Path,
    changes: dict[str, tuple[str, int]],
    request_changes: dict[str, object],
    line: str,
) -> None:
    slurm(changes)
    request = Request(**{**vars(GPU), **request_changes})
    (found,) = problems(tmp_path, request)
    assert found.startswith(line)
    assert "\n" not in found


def test_an_account_in_capitals_is_the_same_one(slurm: Callable[..., None], tmp_path: Path) -> None:
    capitals = PARTITIONS.replace("AllowAccounts=bio,chem", "AllowAccounts=Bio,CHEM")
    for text in (PARTITIONS, capitals):
        slurm({"scontrol show partition": (text, 0)})
        assert problems(tmp_path, Request("flip_views", partition="own", account="BIO")) == []
        shutil.rmtree(tmp_path / "bin")


def test_hidden_partitions_and_their_jobs_are_seen(
    slurm: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm({"squeue --job": ("7 RUNNING\n", 0)})
    for command in ("scontrol", "squeue"):
        program = tmp_path / "bin" / command
        # As Slurm does for who is not its administrator.
        hidden = f'#!/bin/sh\n[ -z "${command.upper()}_ALL" ] && exit\n[ -n "$SQUEUE_PARTITION" ] && exit\n'
        program.write_text(program.read_text().replace("#!/bin/sh\n", hidden))
    monkeypatch.setenv("SQUEUE_PARTITION", "cpu")  # what a user shows in a terminal hides no job from Snakemake
    monkeypatch.setattr(os, "environ", os.environ.copy())
    assert problems(tmp_path, GPU) == []
    assert ask("squeue", "--job", "7").output == "7 RUNNING\n"
    for name in ("query_job_status", "is_query_tool_available"):  # to be given back
        monkeypatch.setattr(plugin, name, getattr(plugin, name))
    ask_until_answered("squeue")  # from then on, the plugin's own commands
    listed = subprocess.run(["squeue", "--job", "7"], env=dict(os.environ), capture_output=True, text=True, check=True)
    assert listed.stdout == "7 RUNNING\n"


OLD = "Tesla V100-SXM2-32GB, compute capability 7.0, driver 470.82"


def test_a_gpu_that_is_too_old_is_named_with_the_way_out() -> None:
    answer = {
        "host": "n1", "message": "m", "data": True, "python": platform.python_version(), "torch": version("torch"),
        "cuda": None, "cuda_problem": "no kernel image is available", "visible": "0", "cards": OLD,
        "build": "torch 2.14.1 is built for CUDA 13.0 and sm_75 sm_80",
    }  # fmt: skip
    *_, last = _judge("node of gpu with GPU", answer, "m", None, wants_gpu=True)
    assert not last.good
    assert last.text == (
        "node of gpu with GPU (n1): CUDA does not compute on the GPU (no kernel image is available; "
        f"CUDA_VISIBLE_DEVICES=0); the GPU: {OLD}; torch 2.14.1 is built for CUDA 13.0 and sm_75 sm_80; where one is "
        "too old for the other, install a build for an older CUDA: make env "
        "TORCH_INDEX=https://download.pytorch.org/whl/<such as cu126>, or name another gpu_model at the top of "
        "slurm/config.yaml"
    )


def test_what_would_wait_without_end_is_said_first(slurm: Callable[..., None], tmp_path: Path) -> None:
    slurm()
    (found,) = problems(tmp_path, GPU, command="sacct")
    assert found == (
        "status of jobs: sacct fails (Slurm accounting storage is disabled), and Snakemake would wait without end; set "
        "slurm-status-command: squeue in slurm/config.yaml"
    )
    (found,) = problems(tmp_path, GPU, first=150)
    assert found.endswith("set slurm-init-seconds-before-status-checks: 100 in slurm/config.yaml")


def test_finished_jobs_that_squeue_forgets(slurm: Callable[..., None], tmp_path: Path) -> None:
    slurm({"scontrol show config": ("MinJobAge               = 60 sec\n", 0), "sacct -X": ("", 0)})
    (found,) = problems(tmp_path, GPU)
    assert "for 60 s, less than the 180 s" in found
    assert found.endswith("or set slurm-status-command: sacct in slurm/config.yaml and cancel no job by hand")
    assert problems(tmp_path, GPU, command="sacct") == []


def test_without_a_controller_nothing_else_is_asked(slurm: Callable[..., None], tmp_path: Path) -> None:
    slurm({"scontrol show config": ("slurm_load_ctl_conf error: Unable to contact slurm controller\n", 1)})
    (found,) = problems(tmp_path, GPU)
    assert found.startswith("controller: it does not answer (slurm_load_ctl_conf error: Unable to contact")


def test_without_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = problems(tmp_path, GPU)
    assert found.startswith("commands: sbatch, srun, squeue, scancel, scontrol, sinfo not on PATH")


def test_space_is_compared_with_what_the_run_writes(slurm: Callable[..., None], tmp_path: Path) -> None:
    slurm()
    (found,) = problems(tmp_path, GPU, needed=1e18)
    assert found.startswith("results: the run writes about 1000000000.0 GB, ")
    (tmp_path / "results").rmdir()
    (tmp_path / "results").write_text("a file in the way")
    (found,) = problems(tmp_path, GPU)
    assert found.startswith("results: cannot write to")


def test_a_long_queue_refuses_no_run(
    slurm: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slurm()
    sbatch = tmp_path / "bin/sbatch"
    sbatch.write_text(sbatch.read_text().replace("#!/bin/sh\n", '#!/bin/sh\n[ "$1" = --test-only ] && sleep 60\n'))
    monkeypatch.setattr(site, "_TEST_SECONDS", 0.2)
    findings = check_site([GPU], Settings("squeue", 20, tmp_path / "results"))
    assert all(finding.good for finding in findings)
    assert str(findings[3]) == (
        "ok   train_model: 1 GPU, 1 CPU, 6000 MB, 60 min in gpu not checked, a long queue keeps Slurm from answering "
        "(sbatch did not answer within 0 s)"
    )


def test_a_command_that_hangs_is_ended() -> None:
    started = time.monotonic()
    answer = ask("sleep", "60", seconds=0.2)
    assert (answer.status, answer.reason) == (124, "sleep did not answer within 0 s")
    assert time.monotonic() - started < 5


def test_partitions_are_read() -> None:
    found = partitions(PARTITIONS)
    assert {name: partition.minutes for name, partition in found.items()} == {
        "cpu": 3600, "gpu": 120, "own": None, "old": 30
    }  # fmt: skip
    assert found["own"].allowed == {"bio", "chem"}
    assert found["old"].denied == {"bio"}
    assert found["cpu"].allowed is None


def test_a_request_reads_what_the_plugin_reads() -> None:
    resources = {
        "_cores": 2, "slurm_partition": "gpu", "slurm_account": 123, "gpu": 1, "gpu_model": "h100", "mem_mb": 6000,
        "runtime": 60, "constraint": "nvme", "tmpdir": "/tmp",
    }  # fmt: skip
    request = Request.of("train_model", 1, 2, resources)
    assert request.options() == [
        "--ntasks=1", "--cpus-per-task=2", "--constraint=nvme", "--partition=gpu", "--account=123", "--gpus=h100:1",
        "--mem=6000", "--time=60",
    ]  # fmt: skip
    without = Request.of("train_model", 1, 2, resources | {"gpu": 0, "gpu_model": None, "mem_mb": "<TBD>"})
    assert (without.wants_gpu, without.mem_mb) == (False, 0)
    assert not any(option.startswith(("--gpus", "--mem")) for option in without.options())
    assert Request.of("train_model", 1, 2, {"gres": "gpu:h100:1"}).wants_gpu
    assert Request.of("train_model", 1, 2, {"gpu_model": "h100"}).options()[-1] == "--gpus=h100:1"
