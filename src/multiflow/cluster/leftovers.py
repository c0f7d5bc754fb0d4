"""What a killed Snakemake left in the queue goes before another one submits anything.

Snakemake's own lock outlives a Snakemake that was killed, so a user removes it with ``--unlock``; its jobs outlive it,
too. The next Snakemake submits the same jobs again, and two of them would write the same files.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from multiflow.base.errors import InputError
from multiflow.cluster.slurm import ask

__all__ = ["cancel_leftovers"]

# The plugin names all jobs of one Snakemake after a random UUID, which a prefix may precede.
_JOB_NAME = re.compile(r"(\S+_)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_CHUNK = 500  # jobs in one command


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
