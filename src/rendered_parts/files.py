"""Text files that appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from rendered_parts.errors import RenderingError

__all__ = ["write_whole"]


def write_whole(path: Path, text: str) -> None:
    """Write a file beside its place and move it there.

    Raises:
        RenderingError: it cannot be written, for example since the disk is full.
    """
    # The same name each time, so that what a killed process left is overwritten.
    temporary = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise RenderingError(
            f"{path}: cannot be written whole: {error.strerror}; make room in {path.parent} and start again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
