"""Data sets: whatever writes a samples table is one.

Here is what the rules need at every start, without tables and arrays: the layouts by name, the table of flips and the
checksums. A further layout is a file of the form of :class:`~multiflow.datasets.contract.Layout` and a line in
:data:`LAYOUTS`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from multiflow.base.errors import InputError
from multiflow.datasets.digests import read_digests
from multiflow.datasets.flips import read_flips

if TYPE_CHECKING:
    from pathlib import Path

    from multiflow.datasets.contract import Layout
    from multiflow.datasets.settings import Dataset

__all__ = ["LAYOUTS", "annotation_files", "flip_row", "layout", "read_digests", "read_flips"]

LAYOUTS = {
    "real_iad": "multiflow.datasets.real_iad",
    "mvtec": "multiflow.datasets.mvtec",
    "btad": "multiflow.datasets.btad",
}
"""Name in the configuration and module. A module here is read at every start: keep it light."""


def annotation_files(dataset: Dataset, root: Path, class_name: str) -> list[str]:
    """The files or folders that decide what a class is; none where they are missing, which its job reports."""
    try:
        return [str(path) for path in layout(dataset.layout).annotation_files(dataset, root, class_name)]
    except InputError:
        return []


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
