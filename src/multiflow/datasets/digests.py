"""Checksums of a samples table: what later stations depend on, so that they rerun only when that has changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path

if TYPE_CHECKING:  # the rules read checksums at every start, and need no tables for that
    import pandas as pd

__all__ = ["digests", "read_digests", "write_digests"]

_ADVICE = "delete it and rerun"
_COLUMNS = {
    "pictures": ["split", "sample", "camera", "flip", "sha256"],
    "ground_truth": ["sample", "camera", "label", "anomaly_class", "flip", "mask_sha256"],
}


def digests(frame: pd.DataFrame) -> dict[str, str]:
    """SHA-256, hexadecimal, of what later stations depend on; paths take no part.

    Returns:
        ``pictures``: of the order, flips and bytes of all images, which decide features and segmentations;
        ``ground_truth``: of the labels, anomaly classes, flips and masks of the test images.
    """
    parts = {"pictures": frame, "ground_truth": frame[frame["split"] == "test"]}
    return {name: _sha256(rows[_COLUMNS[name]]) for name, rows in parts.items()}


def _sha256(rows: pd.DataFrame) -> str:
    return hashlib.sha256(rows.to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def write_digests(frame: pd.DataFrame, path: str | Path) -> None:
    """Write the :func:`digests` of a samples table as JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(digests(frame), indent=1) + "\n", encoding="utf-8")


def read_digests(path: str | Path) -> dict[str, str]:
    """Read what :func:`write_digests` wrote.

    Raises:
        FileNotFoundError: the file is not there yet, which Snakemake expects of a job's parameters.
        InputError: it holds no such checksums.
    """
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: expected checksums in JSON, cannot read them ({error}); {_ADVICE}") from None
    if not isinstance(content, dict) or set(content) != set(_COLUMNS):
        raise InputError(f"{path}: expected the checksums {', '.join(_COLUMNS)}, found others; {_ADVICE}")
    return content
