"""Checksums of a samples table: what later stations depend on, so that they rerun only when that has changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path

if TYPE_CHECKING:  # the rules read checksums at every start, and need no tables for that
    import pandas as pd

__all__ = ["digests", "read_digests", "read_doubts", "write_digests"]

_ADVICE = "delete it and rerun"
_DOUBTS = "doubts"
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
    """Write the :func:`digests` of a samples table as JSON, and beside them what there is to doubt about its class."""
    content = digests(frame) | {_DOUBTS: frame.attrs.get(_DOUBTS, {})}
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_digests(path: str | Path) -> dict[str, str]:
    """Read what :func:`write_digests` wrote.

    Raises:
        FileNotFoundError: the file is not there yet, which Snakemake expects of a job's parameters.
        InputError: it holds no such checksums.
    """
    return {name: value for name, value in _read(path).items() if name != _DOUBTS}


def read_doubts(path: str | Path) -> dict[str, int]:
    """How often there is what to doubt about a class, as :func:`multiflow.datasets.table.read_samples` found it.

    Raises:
        FileNotFoundError, InputError: as for :func:`read_digests`.
    """
    return dict(_read(path).get(_DOUBTS, {}))


def _read(path: str | Path) -> dict[str, Any]:
    text = Path(path).read_text(encoding="utf-8", errors="replace")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: expected checksums in JSON, cannot read them ({error}); {_ADVICE}") from None
    if not isinstance(content, dict) or set(content) - {_DOUBTS} != set(_COLUMNS):
        raise InputError(f"{path}: expected the checksums {', '.join(_COLUMNS)}, found others; {_ADVICE}")
    return content
