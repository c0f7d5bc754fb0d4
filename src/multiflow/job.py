"""What every script of the workflow does around its one call: log, lock, and a user's mistake in one line."""

from __future__ import annotations

import fcntl
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from multiflow.errors import InputError

__all__ = ["job", "share_library"]

logger = logging.getLogger("multiflow")


@contextmanager
def job(log: str | Path) -> Iterator[None]:
    """Run a rule's work with its log file.

    Everything that the library logs goes to the log file; an :class:`InputError` is written to the log and to
    standard error, a line a problem, and ends the process with exit status 1; any other exception is written
    to the log with its traceback and raised again.

    The log is locked while the job runs, so that a job that outlived a killed Snakemake and the one that
    replaces it do not work at the same time on one machine.
    """
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a", encoding="utf-8") as stream:
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            logger.info("an earlier process still works on this job; waiting for it to end")
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError:
            logger.info("this file system has no locks; going on without")
        try:
            yield
        except InputError as error:
            for problem in error.problems:
                logger.error(problem)
                print(problem, file=sys.stderr)
            raise SystemExit(1) from None
        except Exception:
            logger.exception("unexpected error")
            raise
        finally:
            logger.removeHandler(handler)


def share_library() -> None:
    """Let the processes that this one starts import the library from the same checkout."""
    source = str(Path(__file__).parents[1])
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if source not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([source, *filter(None, paths)])
