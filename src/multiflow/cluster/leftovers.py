"""One Snakemake at a time submits from a folder, and what a killed one left in the queue goes first.

Snakemake's own lock outlives a Snakemake that was killed, so a user removes it with ``--unlock``; its jobs outlive it,
too. The next Snakemake submits the same jobs again, and two of them would write the same files.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import os
import re
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TextIO

from multiflow.cluster.slurm import ask
from multiflow.errors import InputError

__all__ = ["cancel_leftovers", "claim_folder"]

# The plugin names all jobs of one Snakemake after a random UUID, which a prefix may precede.
_JOB_NAME = re.compile(r"(\S+_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHUNK = 500  # jobs in one command
_BEAT = 30.0  # s between two signs of life of the Snakemake that submits
_SILENCE = 180.0  # s without one, after which it is taken for dead
_PAUSE = 2.0  # s until what one machine has written is seen by the others
_BOOT = Path("/proc/sys/kernel/random/boot_id")  # tells machines apart that have the same name


def claim_folder(folder: Path) -> TextIO:
    """Be the only Snakemake that submits from a folder, for as long as the returned file is open.

    On one machine a lock says who that is; the system lets go of it when the process ends, however it ends. Other
    login nodes need not see a lock of a shared file system: they read the owner's line, which holds for as long as
    the owner changes the file's time every half minute. Clocks may differ by less than three minutes. Both hold
    where Snakemake's own lock is switched off or was removed.

    An owner that loses its line, since it was silent for too long, submits nothing more.

    Args:
        folder: the folder that Snakemake runs in.

    Raises:
        InputError: another Snakemake submits from there, or the file cannot be written.
    """
    path = folder / ".snakemake/slurm.lock"
    own = f"process {os.getpid()} on {os.uname().nodename}\n{_BOOT.read_text()}"
    try:
        path.parent.mkdir(exist_ok=True)
        stream = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - the caller keeps it open
        if not _take(stream, path, own):
            stream.close()
            owner = path.read_text(encoding="utf-8").partition("\n")[0] or "unknown"
            raise InputError(
                f"{folder}: another Snakemake submits jobs from here ({owner}), and both would write the same files; "
                f"wait for its end (one that was killed on another machine is given up after {_SILENCE / 60:.0f} "
                "minutes), or run this one in another clone"
            )
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); mend that, and start again") from None
    threading.Thread(target=_beat, args=(stream, path, own), daemon=True).start()
    atexit.register(_release, path, own)
    return stream


def _take(stream: TextIO, path: Path, own: str) -> bool:
    """Write the owner's line where no living Snakemake holds the file; False where one does."""
    locked = True
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        locked = False  # this file system has no locks
    stream.seek(0)
    owner, _, boot = stream.read().partition("\n")
    surely_dead = locked and boot == _BOOT.read_text()
    if owner and not surely_dead and _silence(path) < _SILENCE:
        return False
    stream.truncate(0)
    stream.write(own)
    stream.flush()
    os.fsync(stream.fileno())
    # Another machine may do the same at the same time: one of the two lines stays, or both.
    time.sleep(_PAUSE)
    return path.read_text(encoding="utf-8") == own


def _beat(stream: TextIO, path: Path, own: str) -> None:
    """Give signs of life for as long as the process lives and holds the file."""
    while True:
        time.sleep(_BEAT)
        if stream.closed:
            return
        with contextlib.suppress(OSError):
            if path.read_text(encoding="utf-8") != own:
                break
            os.utime(path)
    print(f"{path}: another Snakemake has taken over this folder; no more jobs are submitted", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGTERM)


def _release(path: Path, own: str) -> None:
    """A process that ends by itself leaves no owner behind."""
    with contextlib.suppress(OSError):
        if path.read_text(encoding="utf-8") == own:
            os.truncate(path, 0)


def _silence(path: Path) -> float:
    """Seconds since the last sign of life."""
    with tempfile.TemporaryFile(dir=path.parent) as now:
        return os.fstat(now.fileno()).st_mtime - path.stat().st_mtime


def cancel_leftovers(folder: Path, seconds: float = 300) -> int:
    """Cancel the jobs that an earlier Snakemake submitted from a folder, and wait until they are gone.

    Call it with the folder claimed and before the first submission: then no living Snakemake waits for any of them.
    Other jobs of the user, also those submitted by hand from this folder, are left alone.

    Args:
        folder: the folder that Snakemake runs in.
        seconds: how long jobs may take to end; Slurm kills a process that does not end by itself after 30 s.

    Returns:
        The number of jobs.

    Raises:
        InputError: the queue cannot be read, or a job does not end.
    """
    deadline = time.monotonic() + seconds
    left = found = _submitted_from(folder)
    while left:
        if time.monotonic() > deadline:
            raise InputError(
                f"{folder}: {len(left)} jobs of an earlier Snakemake are cancelled but do not end, and would write the "
                f"same files as new ones; start again when `squeue --job {','.join(left[:10])}` shows none"
            )
        # Again in every round: a job that is being queued again or started may miss the first one.
        for first in range(0, len(left), _CHUNK):
            ask("scancel", *left[first : first + _CHUNK], seconds=60)
        time.sleep(1)
        left = _submitted_from(folder)
    return len(found)


def _submitted_from(folder: Path) -> list[str]:
    """Jobs in the queue that a Snakemake submitted from a folder: waiting, running or about to end."""
    answer = ask("squeue", "--user", str(os.getuid()), "--noheader", "--format=%i|%j|%Z", seconds=60)
    if not answer.ok:
        raise InputError(f"squeue: cannot read the queue ({answer.reason}); start again when `squeue` answers")
    lines = (line.split("|", 2) for line in answer.output.splitlines() if line.count("|") >= 2)
    place = folder.resolve()
    return [job for job, name, where in lines if _JOB_NAME.fullmatch(name) and Path(where).resolve() == place]
