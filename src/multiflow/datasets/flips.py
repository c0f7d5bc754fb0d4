"""The table of flips: which cameras of a class deliver mirrored images."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from multiflow.base.errors import InputError
from multiflow.base.text import read_text

__all__ = ["read_flips"]

_ADVICE = "or set dataset.flips to null"


def read_flips(path: str | Path, class_name: str, cameras: Sequence[str]) -> dict[str, int]:
    """Read one class of a CSV table with the columns ``class`` and one per camera.

    The row of ``coin_cell`` also holds for ``coin_cell-1``, the same part in other pictures.

    Returns:
        Per camera 1 if its images are to be mirrored left-right when they are decoded, else 0.

    Raises:
        InputError: the file cannot be read, the class has no row or several, a camera has no column, or a
            value is neither 0 nor 1.
    """
    text = read_text(path, "a table of flips", f"mend it {_ADVICE}")
    first = text.partition("\n")[0]
    # Where numbers have a decimal comma, spreadsheets put semicolons between values.
    delimiter = next((mark for mark in (",", ";", "\t") if mark in first), ",")
    try:
        reader = csv.DictReader(io.StringIO(text), restval="", skipinitialspace=True, strict=True, delimiter=delimiter)
        reader.fieldnames = columns = [name.strip() for name in reader.fieldnames or []]
        table = [row for row in reader if any(row.values())]
    except csv.Error as error:
        raise _unreadable(path, " ".join(str(error).split())) from None
    if not columns:
        raise _unreadable(path, "it is empty")
    if "class" not in columns:
        raise InputError(
            f"{path}: expected the columns class, {', '.join(cameras)}, found {', '.join(columns)}; add class {_ADVICE}"
        )
    if twice := [name for name, count in Counter(columns).items() if name and count > 1]:
        raise InputError(f"{path}: column {twice[0]} is there more than once; delete all but one {_ADVICE}")
    if any(None in row for row in table):
        raise _unreadable(path, f"a row has more than {len(columns)} values")
    rows = _rows_of(class_name, table) or _rows_of(class_name.split("-")[0], table)
    if len(rows) == 0:
        row = ",".join([class_name, *["0"] * len(cameras)])
        raise InputError(
            f"{path}: class {class_name} is missing; add a row such as {row} (1: a mirrored camera) {_ADVICE}"
        )
    if len(rows) > 1:
        raise InputError(f"{path}: class {class_name} has {len(rows)} rows; delete all but one")
    problems = []
    flips = {}
    for camera in cameras:
        if camera not in columns:
            problems.append(f"{path}: camera {camera} is missing; add a column {camera} of 0 and 1 {_ADVICE}")
            continue
        value = rows[0][camera].strip()
        if value not in ("0", "1"):
            problems.append(f"{path}: class {class_name}, column {camera}: expected 0 or 1, found {value!r}; mend it")
            continue
        flips[camera] = int(value)
    if problems:
        raise InputError(problems)
    return flips


def _rows_of(class_name: str, table: list[dict[str, str]]) -> list[dict[str, str]]:
    return [row for row in table if row["class"].strip() == class_name]


def _unreadable(path: str | Path, reason: str) -> InputError:
    return InputError(f"{path}: expected a table of flips, cannot read it ({reason}); mend it {_ADVICE}")
