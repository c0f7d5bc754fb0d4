"""The golden files of AD-CLSCNFs, found and read.

Every ``clscnfs_*.npz`` of ``tests/golden`` is read, or of the folder in the environment variable GOLDEN_DIR, which may
hold further cases. What a file holds says which tests it is for.
"""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["FILES", "OWN", "arrays", "beside", "close", "groups"]

OWN = Path(__file__).parent / "golden"
FOLDER = Path(os.environ.get("GOLDEN_DIR", OWN))
FILES = sorted(FOLDER.glob("clscnfs_*.npz"))
assert FILES or "GOLDEN_DIR" in os.environ, f"no clscnfs_*.npz in {FOLDER}"


@cache
def arrays(path: Path) -> dict[str, NDArray[Any]]:
    return dict(np.load(path))


def groups(pattern: str) -> list[Any]:
    """File and first group of each key that matches, once each."""
    found = {(path, match[1]): None for path in FILES for key in arrays(path) if (match := re.fullmatch(pattern, key))}
    assert found or "GOLDEN_DIR" in os.environ, f"no case with {pattern}"
    return [pytest.param(arrays(path), name, id=f"{path.stem}:{name}") for path, name in found]


def beside(name: str, key: str) -> dict[str, NDArray[Any]]:
    """A file of which these cases use a part: the same folder's, or that of ``tests/golden`` where it has no such."""
    paths = [path for folder in (FOLDER, OWN) if (path := folder / name).exists()]
    return next(arrays(path) for path in paths if key in arrays(path))


def close(found: Any, expected: Any, tolerance: float, what: str = "") -> None:
    """Equal within a share of the array's largest value."""
    found, expected = (
        np.asarray(value.detach() if isinstance(value, Tensor) else value) for value in (found, expected)
    )
    assert found.shape == expected.shape, what
    scale = max(float(np.abs(expected).max(initial=0)), 1e-12)
    assert float(np.abs(found - expected).max(initial=0)) <= tolerance * scale, what
