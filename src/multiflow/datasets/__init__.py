"""Data sets: whatever writes a samples table is one.

Here is what the rules need at every start, without tables and arrays: the layouts by name, the table of flips and the
checksums. A further layout is a file of the form of :class:`~multiflow.datasets.contract.Layout` and a line in
:data:`LAYOUTS`.
"""

from __future__ import annotations

import hashlib
import importlib
import os
from typing import TYPE_CHECKING, cast

from multiflow.base.errors import InputError
from multiflow.base.provenance import file_sha256
from multiflow.datasets.digests import read_digests, read_doubts
from multiflow.datasets.file_names import is_hidden
from multiflow.datasets.flips import read_flips

if TYPE_CHECKING:
    from pathlib import Path

    from multiflow.datasets.contract import Layout
    from multiflow.datasets.settings import Dataset

__all__ = ["LAYOUTS", "annotations_sha256", "flip_row", "layout", "read_digests", "read_doubts", "read_flips"]

LAYOUTS = {
    "real_iad": "multiflow.datasets.real_iad",
    "mvtec": "multiflow.datasets.mvtec",
    "btad": "multiflow.datasets.btad",
}
"""Name in the configuration and module. A module here is read at every start: keep it light."""


def annotations_sha256(dataset: Dataset, root: Path, class_name: str) -> str | None:
    """Checksum of the files or folders that decide what a class is; None where they are missing, which its job reports.

    They are no inputs of a rule: Snakemake would go by their times and their place, and take braces in a path for
    wildcards.
    """
    try:
        parts = layout(dataset.layout).annotation_files(dataset, root, class_name)
        return hashlib.sha256("\n".join(map(_content, parts)).encode(errors="surrogateescape")).hexdigest()
    except (InputError, OSError):
        return None


def _content(path: Path) -> str:
    """What a file holds, as a checksum, or the names in a folder but for those that a file manager leaves there."""
    if not path.is_dir():
        return file_sha256(path)
    return "\0".join([path.name, *(name for name in sorted(os.listdir(path)) if not is_hidden(name))])


def flip_row(dataset: Dataset, class_name: str) -> dict[str, int] | None:
    """The class's row of the table of flips; None where there is none, and where it is wrong, which its job reports."""
    if dataset.flips is None:
        return None
    try:
        return read_flips(dataset.flips, class_name, dataset.cameras)
    except InputError:
        return None


def layout(name: str) -> Layout:
    """The layout of a registered name, as ``dataset.layout`` gives it."""
    return cast("Layout", importlib.import_module(LAYOUTS[name]))
