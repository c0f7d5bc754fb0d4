"""What a piece of work takes: also over several attempts, and also of a GPU."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from multiflow.base import memory
from multiflow.base.memory import free_bytes
from multiflow.base.usage import Meter, Usage, peak_memory
from multiflow.methods.work import Work

CPU = torch.device("cpu")


def test_time_and_memory_are_those_of_the_work() -> None:
    meter = Meter(CPU)
    time.sleep(0.05)
    usage = meter.read()
    assert 0.05 <= usage.seconds < 5
    assert usage.gpu_memory is None
    record = meter.record(threads=2, samples=7)
    assert (record["threads"], record["samples"]) == (2, 7)
    assert record["device"].startswith("cpu")


def test_the_peak_outlives_what_was_held_and_is_not_the_parents() -> None:
    """A process that is started by a large one must not seem large."""
    ballast = b"x" * 200_000_000
    program = (
        "from multiflow.base.usage import peak_memory\n"
        "before = peak_memory(); held = b'x' * 150_000_000; del held\n"
        "print(before, peak_memory())"
    )
    environment = {"PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    before, after = map(int, printed.stdout.split())
    assert 140e6 < after - before < 160e6
    assert peak_memory() > len(ballast)


def test_free_memory_ends_at_the_limit_of_the_jobs_control_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = free_bytes(CPU)
    assert 1e8 < free < 1e14
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, place = line.split(":", 2)
        if controllers in ("", "memory"):
            group = tmp_path / controllers / place.lstrip("/")
            group.mkdir(parents=True, exist_ok=True)
            (group / ("memory.limit_in_bytes" if controllers else "memory.max")).write_text(f"{10**9}\n")
    monkeypatch.setattr(memory, "_CONTROL_GROUPS", tmp_path)
    assert free_bytes(CPU) < min(10**9, free)
    for path in tmp_path.rglob("memory.*"):
        path.write_text("max\n")
    assert free_bytes(CPU) > 1e8


def test_a_training_that_goes_on_adds_up_its_attempts(tmp_path: Path) -> None:
    def work() -> Work:
        return Work(CPU, 1, tmp_path / "checkpoint.pt", "fingerprint")

    first = work()
    first.meter.add(Usage(100.0, 10**15))
    first.record(epoch=1, loss=0.5)
    first.save({})
    second = work()
    time.sleep(0.1)
    assert second.meter.read().seconds < 50
    assert second.resume(lambda state: None)
    assert 100.1 <= second.meter.read().seconds < 150, "what comes before the checkpoint is read counts, too"
    assert second.meter.read().memory == 10**15, "the largest of all attempts"


def test_gpu_memory_is_the_most_of_all_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    held = {"now": 5}
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: held.update(now=0))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: held["now"])
    meter = Meter(torch.device("cuda"))
    assert meter.read().gpu_memory == 0, "what was held before the work is none of it"
    held["now"] = 7
    assert meter.read().gpu_memory == 7
    for device in (torch.device("cuda"), CPU):
        later = Meter(device)
        later.add(Usage(1.0, 1, 9))
        assert later.read().gpu_memory == 9, "an attempt on a GPU counts"
