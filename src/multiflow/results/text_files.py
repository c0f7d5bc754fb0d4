"""Text files that are written when they change."""

from __future__ import annotations

from pathlib import Path

from multiflow.base.files import atomic_path

__all__ = ["write_text"]


def write_text(path: str | Path, text: str) -> None:
    """Write a text file, whole or not at all; one that says the same stays as it is.

    Snakemake makes again what is older than a table, so a table that is written for nothing would cost the report.
    """
    path, content = Path(path), text.encode("utf-8")
    if path.is_file() and path.read_bytes() == content:
        return
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
