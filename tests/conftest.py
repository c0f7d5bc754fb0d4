"""Settings that all tests share."""

from __future__ import annotations

import os
from pathlib import Path

# Processes that tests start import the library from this checkout, as the workflow's scripts do.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(Path(__file__).parents[1] / "src"), os.environ.get("PYTHONPATH")])
)
