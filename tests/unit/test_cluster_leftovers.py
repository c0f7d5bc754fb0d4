"""Who submits from a folder: known on one machine by a lock, on several by signs of life."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from multiflow.cluster import claim_folder, leftovers
from multiflow.errors import InputError


def lock(folder: Path, owner: str, age: float) -> Path:
    """The file of an owner that gave its last sign of life so many seconds ago."""
    path = folder / ".snakemake/slurm.lock"
    path.parent.mkdir(exist_ok=True)
    path.write_text(owner and f"{owner}\n")
    os.utime(path, (time.time() - age,) * 2)
    return path


def claim_and_end(folder: Path, how: str) -> None:
    """A process claims the folder and ends."""
    program = textwrap.dedent(
        f"""
        import os
        from pathlib import Path
        from multiflow.cluster import claim_folder
        claimed = claim_folder(Path({str(folder)!r}))
        {how}
        """
    )
    subprocess.run([sys.executable, "-c", program], timeout=60, check=False)


def test_a_second_one_on_this_machine_is_refused(tmp_path: Path) -> None:
    with claim_folder(tmp_path):
        owner = f"process {os.getpid()} on {os.uname().nodename}"
        with pytest.raises(InputError, match=rf"another Snakemake submits jobs from here \({owner}\), and both would"):
            claim_folder(tmp_path)


@pytest.mark.parametrize("how", ["pass", "os.kill(os.getpid(), 9)"])
def test_the_next_one_on_this_machine_goes_on_at_once(tmp_path: Path, how: str) -> None:
    claim_and_end(tmp_path, how)
    with claim_folder(tmp_path):
        pass


def test_one_that_lives_on_another_machine_is_known_by_its_signs_of_life(tmp_path: Path) -> None:
    path = lock(tmp_path, "process 7 on login2", age=60)
    with pytest.raises(InputError, match=r"\(process 7 on login2\).* start again 3 minutes after that$"):
        claim_folder(tmp_path)
    assert path.read_text() == "process 7 on login2\n"
    lock(tmp_path, "process 7 on login2", age=200)
    with claim_folder(tmp_path):
        assert path.read_text() == f"process {os.getpid()} on {os.uname().nodename}\n"


def test_one_that_has_ended_on_another_machine_left_no_owner(tmp_path: Path) -> None:
    claim_and_end(tmp_path, "pass")
    assert (tmp_path / ".snakemake/slurm.lock").read_text() == ""


def test_signs_of_life_are_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "_BEAT", 0.01)
    with claim_folder(tmp_path):
        path = lock(tmp_path, "me", age=1000)
        deadline = time.monotonic() + 60
        while time.time() - path.stat().st_mtime > 500:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr(leftovers.fcntl, "flock", refuse)
    lock(tmp_path, f"process 7 on {os.uname().nodename}", age=60)
    with pytest.raises(InputError, match=r"process 7 on"):
        claim_folder(tmp_path)
    lock(tmp_path, f"process 7 on {os.uname().nodename}", age=200)
    with claim_folder(tmp_path):
        pass
