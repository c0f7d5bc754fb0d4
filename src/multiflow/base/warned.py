"""Warnings of a job, which only its log would know: they are counted, and said where people look."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["WarningCounter", "logged_warnings"]

_KINDS = 8
_LOGGED = re.compile(rb"^\S+ \S+ WARNING ", re.MULTILINE)


class WarningCounter(logging.Handler):
    """Counts warnings; those of one format string are of one kind."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._first: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record."""
        if record.levelno == logging.WARNING:
            kind = str(record.msg)
            self._first.setdefault(kind, record.getMessage())
            self._counts[kind] = self._counts.get(kind, 0) + 1

    def lines(self, log: Path) -> Iterator[str]:
        """The first warning of each kind, how many there are, and where; nothing where there is none."""
        for kind, message in list(self._first.items())[:_KINDS]:
            more = self._counts[kind] - 1
            yield f"warning: {message}{f' (and {more} more like it)' if more else ''}"
        if self._counts:
            yield _counted(sum(self._counts.values()), log)


def logged_warnings(jobs: Iterable[Any], since: float) -> Iterator[str]:
    """A line for each log with warnings of a job that ran on a cluster, since nobody sees its screen.

    Args:
        jobs: Snakemake's; those that ran on this machine have said their warnings there.
        since: logs that were written before are passed by, seconds since 1970.
    """
    for log in sorted({Path(log) for job in jobs if not job.is_local for log in job.log}):
        if log.is_file() and log.stat().st_mtime >= since and (count := len(_LOGGED.findall(log.read_bytes()))):
            yield _counted(count, log)


def _counted(count: int, log: Path) -> str:
    return f"{count} warning{'s' if count != 1 else ''} in {log}"
