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


def claim_folder(folder: Path) -> TextIO:
    """Be the only Snakemake that submits from a folder, for as long as the returned file is open.

    On one machine a lock says who that is; the system lets go of it when the process ends, however it ends. Other
    login nodes need not see a lock of a shared file system: for them the owner changes the file's time every half
    minute. Both hold where Snakemake's own lock is switched off or was removed.

    Args:
        folder: the folder that Snakemake runs in.

    Raises:
        InputError: another Snakemake submits from there.
    """
    path = folder / ".snakemake/slurm.lock"
    path.parent.mkdir(exist_ok=True)
    stream = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - the caller keeps it open
    stream.seek(0)
    owner, here = stream.read().strip(), os.uname().nodename
    locked, held = True, False
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held = True
    except OSError:
        locked = False  # this file system has no locks
    surely_dead = locked and owner.endswith(f" on {here}")
    if held or (owner and not surely_dead and _silence(path) < _SILENCE):
        stream.close()
        raise InputError(
            f"{folder}: another Snakemake submits jobs from here ({owner or 'unknown'}), and both would write the same "
            "files; wait for its end, or run this one in another clone; if it was killed on another machine, start "
            f"again {_SILENCE / 60:.0f} minutes after that"
        )
    stream.truncate(0)
    stream.write(f"process {os.getpid()} on {here}\n")
    stream.flush()
    threading.Thread(target=_beat, args=(path,), daemon=True).start()
    atexit.register(_release, path)
    return stream


def _beat(path: Path) -> None:
    """Give signs of life for as long as the process lives."""
    while True:
        time.sleep(_BEAT)
        with contextlib.suppress(OSError):
            os.utime(path)


def _release(path: Path) -> None:
    """A process that ends by itself leaves no owner behind."""
    with contextlib.suppress(OSError):
        os.truncate(path, 0)


def _silence(path: Path) -> float:
    """Seconds since the last sign of life, both by the clock of the file system."""
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
