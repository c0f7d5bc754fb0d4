"""What every script of the workflow does around its one call: log, lock, and a user's mistake in one line."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from multiflow.base.errors import InputError, permitted, printable
from multiflow.base.failed_gpus import record_failed
from multiflow.base.files import atomic_path
from multiflow.base.garbage import leave_out_what_is_there
from multiflow.base.log_file import LogHandler, opened
from multiflow.base.warned import WarningCounter

__all__ = ["job", "job_seconds", "unfinished_mark"]

logger = logging.getLogger("multiflow")

_LOGGERS = (logger, logging.getLogger("rendered_parts"))
_LOCK_SECONDS = 300.0


@contextmanager
def job(log: str | Path, mark: bool = False) -> Iterator[None]:
    """Run a rule's work with its log file.

    Everything that the library and the renderer log goes to the log file; an :class:`InputError` is written to the
    log and to standard error, a line a problem, and ends the process with exit status 1; a GPU that fails is one line
    as well, and its node is noted for the next attempt; any other exception is written to the log with its traceback
    and raised again. Warnings are counted on standard error at the end, the first of each kind in its words.

    With ``mark``, a file beside the log is there until the work has ended well: where Snakemake gives a failed job its
    earlier outputs back, it tells that they are out of date.

    Another one says how long the work of the latest attempt that ended well took, see :func:`job_seconds`.

    A file beside the log is locked while the job runs, so that a job that outlived a killed Snakemake and the one
    that replaces it do not work at the same time. Not the log itself: Snakemake deletes it before each attempt.
    """
    leave_out_what_is_there()
    path = Path(log)
    with opened(path) as stream, opened(path.with_name(f".{path.name}.lock")) as locked:
        if mark:
            with opened(unfinished_mark(path)):
                pass
        handler = LogHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        counter = WarningCounter()
        levels = [source.level for source in _LOGGERS]
        for source in _LOGGERS:
            source.addHandler(handler)
            source.addHandler(counter)
            source.setLevel(logging.INFO)
        _lock(locked)
        started = time.monotonic()
        try:
            with permitted():
                yield
            with atomic_path(_seconds_file(path)) as temporary:
                temporary.write_text(f"{time.monotonic() - started:.3f}\n", encoding="ascii")
            if mark:
                unfinished_mark(path).unlink(missing_ok=True)
        except Exception as error:
            failure = _gpu_failure(error)
            if failure is not None:
                line = _report_gpu(path, failure)
                logger.exception(line)
                print(line, file=sys.stderr)
            elif isinstance(error, InputError):
                for problem in error.problems:
                    logger.error(problem)
                    print(problem, file=sys.stderr)
            else:
                logger.exception("unexpected error")
                raise
            raise SystemExit(1) from None
        finally:
            for source, level in zip(_LOGGERS, levels, strict=True):
                source.removeHandler(handler)
                source.removeHandler(counter)
                source.setLevel(level)
            for line in counter.lines(path):
                print(printable(line), file=sys.stderr)


def _lock(stream: TextIO) -> None:
    """Wait for an earlier process, up to a limit, since a file server may keep the lock of a node that died."""
    deadline = time.monotonic() + _LOCK_SECONDS
    said = False
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                logger.info("it still has not ended; going on")
                return
            if not said:
                logger.info("an earlier process still works on this job; waiting for it to end")
                said = True
            time.sleep(0.2)
        except OSError:
            logger.info("this file system has no locks; going on without")
            return
        else:
            return


def _report_gpu(log: Path, failure: str) -> str:
    """What to say of a GPU that failed; on Slurm its node is noted for the next attempt."""
    node = os.environ.get("SLURMD_NODENAME")
    if node is None:
        return f"GPU failed: {failure}"
    logs = next((folder for folder in log.parents if folder.name == "logs"), log.parent)
    record_failed(logs, node, failure)
    return f"GPU of {node} failed: {failure}; a second attempt runs on another node"


def _gpu_failure(error: Exception) -> str | None:
    """See :func:`multiflow.base.devices.gpu_failure`; a rule that needs no torch does not load it."""
    if "torch" not in sys.modules:
        return None
    from multiflow.base.devices import gpu_failure

    return gpu_failure(error)


def unfinished_mark(log: str | Path) -> Path:
    """The file that is there while a job with ``mark`` runs, and after it where it did not end well."""
    return Path(log).with_name(f".{Path(log).name}.unfinished")


def job_seconds(log: str | Path) -> float | None:
    """How long the work of a job took, without the start of its process; None where it has not ended well yet."""
    try:
        return float(_seconds_file(Path(log)).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _seconds_file(log: Path) -> Path:
    return log.with_name(f".{log.name}.seconds")
