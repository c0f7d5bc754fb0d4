"""The log of a job as a file, on a disk that may be full."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from multiflow.base.errors import printable

__all__ = ["LogHandler", "opened"]


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """A text file that is written at its end, with its folder; what does not fit on the disk at the end is left out.

    Raises:
        SystemExit: it cannot be made, which a line on standard error says.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = open(path, "a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - closed below
    except OSError as error:
        print(printable(f"{path}: cannot be made ({error.strerror}); make room, or make it writable"), file=sys.stderr)
        raise SystemExit(1) from None
    try:
        yield stream
    finally:
        with suppress(OSError):
            stream.close()


class LogHandler(logging.StreamHandler[TextIO]):
    """Says once, and not for each message, that the log cannot be written."""

    _said = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """What Python's logging calls where a message cannot be written."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        elif not self._said:
            self._said = True
            line = f"warning: {self.stream.name}: cannot be written ({error.strerror}); make room"
            print(printable(line), file=sys.stderr)
