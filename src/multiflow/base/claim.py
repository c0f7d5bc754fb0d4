"""One Snakemake at a time makes a run, and one at a time submits jobs from a folder.

Snakemake's own lock stays when a Snakemake is killed, and its user has to remove it by hand; this one does not. On one
machine a lock says who that is; the system lets go of it when the process ends, however it ends. Other login
nodes need not see a lock of a shared file system: they read the owner's line, which holds for as long as the owner
changes the file's time every half minute."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import math
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from multiflow.base.errors import InputError

__all__ = ["Claim", "claim_folder", "claim_run"]

_BEAT = 30.0  # s between two signs of life of the Snakemake that submits
_SILENCE = 180.0  # s without one, after which it is taken for dead; clocks may differ by less
_PAUSE = 2.0  # s until what one machine has written is seen by the others


class Claim:
    """Held by the only Snakemake that makes a run or submits from a folder, until it ends.

    One that is given up, since it was silent for too long (suspended, or its file server did not answer), ends
    itself at once: the next owner has cancelled its jobs, and would not know of new ones.

    Args:
        path: the file that says who it is.
        stream: this file, locked where the file system has locks.
        own: what the owner has written there.
    """

    def __init__(self, path: Path, stream: TextIO, own: str) -> None:
        self._path = path
        self._stream = stream
        self._own = own
        self._closed = threading.Event()
        threading.Thread(target=self._beat, daemon=True).start()
        atexit.register(self.close)

    def close(self) -> None:
        """Leave it to others."""
        self._closed.set()
        with contextlib.suppress(OSError):
            if self._path.read_text(encoding="utf-8") == self._own:
                os.truncate(self._path, 0)
        self._stream.close()

    def guard(self, executor: type[Any]) -> None:
        """Let an executor submit nothing once the folder is another's.

        Args:
            executor: class of a Snakemake executor, changed in place.
        """
        submit = executor.run_job

        def run_job(itself: Any, job: Any) -> None:
            self._end_if_lost()
            submit(itself, job)

        executor.run_job = run_job

    def _beat(self) -> None:
        """Give signs of life."""
        while not self._closed.wait(_BEAT):
            self._end_if_lost()
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def _end_if_lost(self) -> None:
        try:
            lost = self._path.read_text(encoding="utf-8") != self._own and not self._closed.is_set()
        except OSError:
            return  # the file server is away, for others as well
        if lost:
            print(
                f"{self._path}: another Snakemake has taken over, since this one was silent for {_SILENCE / 60:.0f} "
                "minutes; it ends and starts nothing more",
                file=sys.stderr,
                flush=True,
            )
            os._exit(1)


def claim_run(folder: Path, name: str) -> Claim:
    """Be the only Snakemake that makes a run.

    Args:
        folder: the folder that Snakemake runs in.
        name: of the run.

    Raises:
        InputError: another Snakemake makes it, or the file cannot be written.
    """
    return _claim(folder, f"run-{name}.lock", f"makes the run {name}", pause=0.0)


def claim_folder(folder: Path) -> Claim:
    """Be the only Snakemake that submits from a folder.

    Args:
        folder: the folder that Snakemake runs in.

    Raises:
        InputError: another Snakemake submits from there, or the file cannot be written.
    """
    return _claim(folder, "slurm.lock", "submits jobs from here", pause=_PAUSE)


def _claim(folder: Path, file: str, work: str, pause: float) -> Claim:
    path = folder / ".snakemake" / file
    own = f"process {os.getpid()} on {os.uname().nodename}\n{_machine()}\n"
    try:
        path.parent.mkdir(exist_ok=True)
        stream = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - held until the claim is closed
        owner, seconds = _take(stream, path, own, pause)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); mend that, and start again") from None
    if not owner:
        return Claim(path, stream, own)
    stream.close()
    advice = "wait for its end, or run this one in another clone"
    if math.isfinite(seconds):
        advice += f"; if it was killed, start again in {seconds:.0f} s (where clocks differ, remove {path})"
    raise InputError(f"{folder}: another Snakemake {work} ({owner}), and both would write the same files; {advice}")


def _take(stream: TextIO, path: Path, own: str, pause: float) -> tuple[str, float]:
    """Write the own line, where no living Snakemake has.

    Returns:
        The owner, empty where the file was taken; seconds until it is given up, infinite where it surely lives.
    """
    locked = True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return path.read_text(encoding="utf-8").partition("\n")[0] or "unknown", math.inf
    except OSError:
        locked = False  # this file system has no locks
    stream.seek(0)
    owner, _, machine = stream.read().partition("\n")
    surely_dead = locked and machine == f"{_machine()}\n"
    left = _SILENCE - _silence(path)
    if owner and not surely_dead and left > 0:
        return owner, left
    stream.truncate(0)
    stream.write(own)
    stream.flush()
    os.fsync(stream.fileno())
    # Another machine may do the same at the same time: one of the two lines stays, or both.
    time.sleep(pause)
    written = path.read_text(encoding="utf-8")
    if written == own:
        return "", 0.0
    others = written.replace(own, "")
    if others != written:
        path.write_text(others, encoding="utf-8")
    return others.partition("\n")[0] or "unknown", _SILENCE


def _machine() -> str:
    """Tells machines apart that have the same name; a restart makes another of it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return os.uname().nodename


def _silence(path: Path) -> float:
    """Seconds since the last sign of life."""
    with tempfile.TemporaryFile(dir=path.parent) as now:
        return os.fstat(now.fileno()).st_mtime - path.stat().st_mtime
