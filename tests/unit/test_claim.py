"""Who submits from a folder: known on one machine by a lock, on several by signs of life."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from multiflow.base import claim
from multiflow.base.claim import claim_folder, claim_run
from multiflow.base.errors import InputError

HERE = f"process {os.getpid()} on {os.uname().nodename}"
BOOT = claim._machine()
ELSEWHERE = "process 7 on login2\n2f6b1a5e-0000\n"
OTHER_PROCESS = """
import os, sys
from pathlib import Path
from multiflow.base import claim
from multiflow.base.claim import claim_folder, claim_run
claim._PAUSE, claim._BEAT = 0, {beat}
claimed = claim_folder(Path(sys.argv[1]))
print(flush=True)
{then}
"""


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other machine writes here."""
    monkeypatch.setattr(claim, "_PAUSE", 0)


def lock_file(folder: Path, text: str, age: float) -> Path:
    """The file of an owner that gave its last sign of life so many seconds ago."""
    path = folder / ".snakemake/slurm.lock"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    os.utime(path, (time.time() - age,) * 2)
    return path


def other_process(folder: Path, then: str, beat: float = 0.01) -> subprocess.Popen[str]:
    """Another process, which has claimed the folder."""
    program = OTHER_PROCESS.format(then=then, beat=beat)
    process = subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True)  # fmt: skip
    stream: IO[str] = process.stdout  # type: ignore[assignment]
    stream.readline()
    return process


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_second_one_on_this_machine_is_refused(tmp_path: Path) -> None:
    refusal = rf"another Snakemake submits jobs from here \({re.escape(HERE)}\), .*, or run this one in another clone$"
    first = claim_folder(tmp_path)
    with pytest.raises(InputError, match=refusal):
        claim_folder(tmp_path)
    assert (tmp_path / ".snakemake/slurm.lock").read_text() == f"{HERE}\n{BOOT}\n"
    first.close()
    claim_folder(tmp_path).close()


def test_a_run_is_made_once_at_a_time_and_other_runs_beside_it(tmp_path: Path) -> None:
    first, other, slurm = claim_run(tmp_path, "demo"), claim_run(tmp_path, "paper"), claim_folder(tmp_path)
    with pytest.raises(InputError, match=rf"another Snakemake makes the run demo \({re.escape(HERE)}\), "):
        claim_run(tmp_path, "demo")
    for claimed in (first, other, slurm):
        claimed.close()
    claim_run(tmp_path, "demo").close()


@pytest.mark.parametrize("how", ["", "os.kill(os.getpid(), 9)"])
def test_the_next_one_on_this_machine_goes_on_at_once(tmp_path: Path, how: str) -> None:
    other_process(tmp_path, how).communicate(timeout=60)
    claim_folder(tmp_path).close()


def test_one_that_lives_on_another_machine_is_known_by_its_signs_of_life(tmp_path: Path) -> None:
    path = lock_file(tmp_path, ELSEWHERE, age=60)
    with pytest.raises(InputError, match=r"\(process 7 on login2\).*; if it was killed, start again in 1[12]\d s"):
        claim_folder(tmp_path)
    assert path.read_text() == ELSEWHERE
    lock_file(tmp_path, ELSEWHERE, age=200)
    claim_folder(tmp_path).close()


def test_machines_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    lock_file(tmp_path, f"process 7 on {os.uname().nodename}\n2f6b1a5e-0000\n", age=60)
    with pytest.raises(InputError, match=r"process 7 on"):
        claim_folder(tmp_path)


def test_one_that_has_ended_leaves_no_owner(tmp_path: Path) -> None:
    other_process(tmp_path, "").communicate(timeout=60)
    assert (tmp_path / ".snakemake/slurm.lock").read_text() == ""


@pytest.mark.parametrize("both", [False, True])
def test_two_machines_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, both: bool) -> None:
    path = tmp_path / ".snakemake/slurm.lock"

    def write(_: float) -> None:
        path.write_text(path.read_text() * both + ELSEWHERE)

    monkeypatch.setattr(claim.time, "sleep", write)
    with pytest.raises(InputError, match=r"\(process 7 on login2\)"):
        claim_folder(tmp_path)
    assert path.read_text() == ELSEWHERE


def test_signs_of_life_are_given(tmp_path: Path) -> None:
    process = other_process(tmp_path, "sys.stdin.read()")
    path = tmp_path / ".snakemake/slurm.lock"
    os.utime(path, (time.time() - 1000,) * 2)
    wait(lambda: time.time() - path.stat().st_mtime < 500)
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_one_that_was_given_up_ends(tmp_path: Path) -> None:
    process = other_process(tmp_path, "sys.stdin.read()")
    path = lock_file(tmp_path, ELSEWHERE, age=0)
    assert process.wait(timeout=60) == 1
    _, printed = process.communicate(timeout=60)
    assert printed.startswith(f"{path}: another Snakemake has taken over, since this one was silent")
    assert path.read_text() == ELSEWHERE


def test_one_that_was_given_up_submits_nothing(tmp_path: Path) -> None:
    program = """
    class Executor:
        def run_job(self, job):
            print(job, flush=True)
    claimed.guard(Executor)
    Executor().run_job("first")
    sys.stdin.readline()
    Executor().run_job("second")
    """
    process = other_process(tmp_path, textwrap.dedent(program), beat=1000)
    stream: IO[str] = process.stdout  # type: ignore[assignment]
    assert stream.readline() == "first\n"
    lock_file(tmp_path, ELSEWHERE, age=0)
    printed, _ = process.communicate("\n", timeout=60)
    assert (process.returncode, printed) == (1, "")


def test_its_end_leaves_the_next_owner_alone(tmp_path: Path) -> None:
    process = other_process(tmp_path, "sys.stdin.read()", beat=1000)
    path = lock_file(tmp_path, ELSEWHERE, age=0)
    process.communicate(timeout=60)
    assert (process.returncode, path.read_text()) == (0, ELSEWHERE)


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(claim.fcntl, "flock", refuse)
    lock_file(tmp_path, f"process 7 on {os.uname().nodename}\n{BOOT}\n", age=60)
    with pytest.raises(InputError, match=r"process 7 on"):
        claim_folder(tmp_path)
    lock_file(tmp_path, f"process 7 on {os.uname().nodename}\n{BOOT}\n", age=200)
    claim_folder(tmp_path).close()


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / ".snakemake").write_text("a file in the way")
    with pytest.raises(InputError, match=r"slurm.lock: cannot be written \(File exists\); mend that"):
        claim_folder(tmp_path)
