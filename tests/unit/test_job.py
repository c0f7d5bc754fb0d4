"""A rule's work: its log, a user's mistake in one line, and no two processes at once."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from multiflow.base.devices import MissingGpuError, gpu_failure, select_device
from multiflow.base.errors import InputError
from multiflow.base.failed_gpus import exclude_failed, record_failed
from multiflow.base.gpu_support import describe_build, is_supported
from multiflow.base.job import job, job_seconds, unfinished_mark
from multiflow.base.warned import logged_warnings


def test_messages_go_to_the_log(tmp_path: Path) -> None:
    with job(tmp_path / "logs" / "rule.log"):
        logging.getLogger("multiflow.methods.multiflow.training").info("epoch 1/2")
    assert (tmp_path / "logs" / "rule.log").read_text().endswith("INFO epoch 1/2\n")


def test_warnings_are_counted_on_the_screen_by_kind(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, logger = tmp_path / "logs" / "rule.log", logging.getLogger("multiflow.datasets.table")
    before = time.time()

    def work() -> None:
        for number in range(300):
            logger.warning("%s: its EXIF orientation is ignored", f"{number}.jpg")
        logger.warning("caf\udce9.png: 100 % of it is dark")
        logger.info("checked 301 images")
        raise InputError("b.csv: missing; add it")

    with pytest.raises(SystemExit), job(log):
        work()
    assert capsys.readouterr().err.splitlines() == [
        "b.csv: missing; add it",
        "warning: 0.jpg: its EXIF orientation is ignored (and 299 more like it)",
        r"warning: caf\udce9.png: 100 % of it is dark",
        f"301 warnings in {log}",
    ]
    # A cluster's jobs have a screen that nobody sees: their logs are counted when the run ends.
    absent = str(tmp_path / "absent.log")
    remote, local = (SimpleNamespace(is_local=is_local, log=[str(log), absent]) for is_local in (False, True))
    assert list(logged_warnings([remote, local, remote], before)) == [f"301 warnings in {log}"]
    assert not list(logged_warnings([local], before))
    assert not list(logged_warnings([remote], time.time() + 60))
    with job(log):
        logger.info("nothing to warn of")
    assert capsys.readouterr().err == ""


def test_messages_of_the_renderer_go_to_the_log_once_and_only_while_the_job_runs(tmp_path: Path) -> None:
    with job(tmp_path / "rule.log"):
        logging.getLogger("rendered_parts.dataset").info("1/2 samples rendered")
    logging.getLogger("rendered_parts.dataset").info("2/2 samples rendered")
    assert (tmp_path / "rule.log").read_text().count("samples rendered") == 1


def test_a_mistake_ends_the_process_without_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught, job(tmp_path / "rule.log"):
        raise InputError(["a.csv: line 3: expected 0 or 1, found 7; mend it", "b.csv: missing; add it"])
    assert caught.value.code == 1
    printed = capsys.readouterr().err
    assert printed.splitlines() == [
        "a.csv: line 3: expected 0 or 1, found 7; mend it",
        "b.csv: missing; add it",
    ]
    assert "Traceback" not in (tmp_path / "rule.log").read_text()


def test_a_log_on_a_full_disk_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "rule.log"
    log.symlink_to("/dev/full")

    def work() -> None:
        logging.getLogger("multiflow").info("epoch 1/2")
        logging.getLogger("multiflow").info("epoch 2/2")
        raise InputError("a.h5: cannot be written whole; make room")

    with pytest.raises(SystemExit), job(log):
        work()
    assert capsys.readouterr().err.splitlines() == [
        f"warning: {log}: cannot be written (No space left on device); make room",
        "a.h5: cannot be written whole; make room",
    ]


def test_a_log_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").touch()
    with pytest.raises(SystemExit), job(tmp_path / "logs/rule.log", mark=True):
        raise AssertionError("the work began without a log")
    expected = f"{tmp_path}/logs/rule.log: cannot be made (File exists); make room, or make it writable"
    assert capsys.readouterr().err.splitlines() == [expected]


def test_a_mark_stays_until_the_work_has_ended_well(tmp_path: Path) -> None:
    log = tmp_path / "rule.log"
    with pytest.raises(SystemExit), job(log, mark=True):
        raise InputError("a.csv: missing; add it")
    assert unfinished_mark(log).exists(), "the outputs that Snakemake gives back would count as up to date"
    with job(log, mark=True):
        assert unfinished_mark(log).exists()
    assert not unfinished_mark(log).exists()


def test_the_time_of_the_latest_work_that_ended_well_stays_beside_the_log(tmp_path: Path) -> None:
    log = tmp_path / "rule.log"
    assert job_seconds(log) is None
    with job(log):
        time.sleep(0.05)
    first = job_seconds(log)
    assert first is not None
    assert 0.05 <= first < 5
    log.unlink()  # Snakemake deletes it before each attempt
    with pytest.raises(SystemExit), job(log):
        raise InputError("a.csv: missing; add it")
    assert job_seconds(log) == first
    with job(log):
        pass
    assert (job_seconds(log) or 0) < first


def test_an_unexpected_error_keeps_its_traceback_in_the_log(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), job(tmp_path / "rule.log"):
        1 / 0  # noqa: B018
    assert "ZeroDivisionError" in (tmp_path / "rule.log").read_text()


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    log, order, proceed = tmp_path / "rule.log", tmp_path / "order.txt", tmp_path / "proceed"
    program = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from multiflow.base.job import job
        with job({str(log)!r}):
            with open({str(order)!r}, "a") as stream:
                stream.write(sys.argv[1] + " begins\\n")
                stream.flush()
                while not Path({str(proceed)!r}).exists():
                    time.sleep(0.01)
                stream.write(sys.argv[1] + " ends\\n")
        """
    )

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    first = subprocess.Popen([sys.executable, "-c", program, "first"])
    wait(lambda: order.exists() and order.read_text() != "")
    log.unlink()  # as Snakemake does before the second
    second = subprocess.Popen([sys.executable, "-c", program, "second"])
    wait(lambda: log.exists() and "an earlier process still works on this job" in log.read_text())
    proceed.touch()
    assert second.wait(timeout=60) == 0
    assert first.wait(timeout=60) == 0
    assert order.read_text().split("\n")[:-1] == [
        "first begins",
        "first ends",
        "second begins",
        "second ends",
    ]


def test_a_gpu_that_fails_is_one_line_and_its_node_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURMD_NODENAME", "node7")
    logs = tmp_path / "logs"
    with pytest.raises(SystemExit) as caught, job(logs / "train_model/a/b.log"):
        raise torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered\nCompile with ...")
    assert caught.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        "GPU of node7 failed: CUDA error: uncorrectable ECC error encountered; a second attempt runs on another node"
    ]
    assert "AcceleratorError" in (logs / "train_model/a/b.log").read_text()
    assert [exclude_failed(logs, attempt) for attempt in (1, 2, 3)] == [None, "--exclude=node7", None]


def test_a_gpu_that_fails_without_slurm_excludes_no_node(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SLURMD_NODENAME", raising=False)
    with pytest.raises(SystemExit), job(tmp_path / "logs/rule.log"):
        raise torch.AcceleratorError("CUDA error: uncorrectable ECC error encountered")
    assert capsys.readouterr().err == "GPU failed: CUDA error: uncorrectable ECC error encountered\n"
    assert exclude_failed(tmp_path / "logs", 2) is None


def test_a_failure_of_yesterday_excludes_no_node(tmp_path: Path) -> None:
    assert exclude_failed(tmp_path, 2) is None
    yesterday = time.time() - 25 * 3600
    (tmp_path / "failed_gpus.tsv").write_text(f"{yesterday:.0f}\tnode1\tCUDA error: unknown error\n")
    assert exclude_failed(tmp_path, 2) is None


def test_a_torn_line_is_left_out(tmp_path: Path) -> None:
    now = f"{time.time():.0f}"
    torn = [
        now[:5],
        f"{now}\tno",
        "\tnode3\tCUDA error",
        f"{now[:4]}{now}\tnode4\tCUDA error",
        "\0\0\0",
        "",
        f"{now}\t\t",
    ]
    whole = [f"{now}\tnode{number}\tCUDA error: \tunknown" for number in (1, 2)]
    (tmp_path / "failed_gpus.tsv").write_bytes("\n".join([whole[0], *torn, whole[1], ""]).encode() + b"\xff\xfe")
    assert exclude_failed(tmp_path, 2) == "--exclude=node1,node2"
    (tmp_path / "failed_gpus.tsv").write_text(f"{now}\tno")
    record_failed(tmp_path, "node5", "CUDA error: unknown error")
    assert exclude_failed(tmp_path, 2) == "--exclude=node5"


@pytest.fixture
def old_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A card that the locked torch has no code for."""
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho 'Tesla V100-SXM2-32GB, 7.0, 470.82.01'\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 0))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_80", "compute_80"])
    return "Tesla V100-SXM2-32GB, compute capability 7.0, driver 470.82.01"


def test_a_gpu_that_torch_has_no_code_for_is_one_line(old_gpu: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    with pytest.raises(InputError) as caught:
        select_device("auto", "compute.device")
    assert str(caught.value) == (
        f"compute.device: the GPU is {old_gpu}; torch {torch.__version__} is built for CUDA 13.0 and sm_75 sm_80 "
        "compute_80; install a build for an older CUDA: make env "
        "TORCH_INDEX=https://download.pytorch.org/whl/<such as cu126>"
    )
    assert gpu_failure(caught.value) is None, "another node's card would be as old"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (8, 9))
    assert select_device("auto", "compute.device").type == "cuda"
    monkeypatch.setattr(torch.version, "cuda", None)
    assert describe_build() == f"torch {torch.__version__} is built for CPUs alone"


@pytest.mark.parametrize(
    ("capability", "architectures", "supported"),
    [
        ((7, 0), ["sm_75", "sm_80"], False),
        ((8, 6), ["sm_75", "sm_80"], True),
        ((9, 0), ["sm_75", "sm_80"], False),
        ((9, 0), ["sm_80", "compute_80"], True),
        ((12, 0), ["sm_75", "sm_120"], True),
        ((9, 0), ["sm_90a"], True),
    ],
)
def test_which_cards_a_build_has_code_for(
    capability: tuple[int, int], architectures: list[str], supported: bool
) -> None:
    assert is_supported(capability, architectures) == supported


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True),
        (RuntimeError("No CUDA GPUs are available"), True),
        (MissingGpuError("compute.device: CUDA finds no GPU"), True),
        (InputError("compute.device: expected a CUDA device"), False),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."), False),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("CUDA error"), False),
    ],
)
def test_what_counts_as_a_gpu_that_failed(error: Exception, failed: bool) -> None:
    assert (gpu_failure(error) is not None) == failed


def test_a_job_that_was_given_a_gpu_does_not_compute_on_the_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert select_device("auto", "compute.device").type == "cpu"
    with pytest.raises(InputError, match=r"expected a CUDA device, found none on this machine"):
        select_device("cuda", "compute.device")
    # So Slurm says that a job has no GPU.
    for nothing in ("", "-1", "NoDevFiles"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert select_device("auto", "compute.device").type == "cpu"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    monkeypatch.setenv("SLURMD_NODENAME", "node7")
    assert select_device("cpu", "compute.device").type == "cpu"
    for wanted in ("auto", "cuda"):
        with pytest.raises(SystemExit), job(tmp_path / "logs/rule.log"):
            select_device(wanted, "compute.device")
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("GPU of node7 failed: compute.device: CUDA finds no GPU, but CUDA_VISIBLE_DEVICES=1 ")
    assert exclude_failed(tmp_path / "logs", 2) == "--exclude=node7"
