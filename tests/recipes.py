"""The recipes of docs/architecture.md, as they are written there."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["recipe"]

_ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"


def recipe(name: str) -> str:
    """The content of a file that a recipe shows."""
    found = re.search(
        rf"<!-- recipe: {re.escape(name)} -->\n```\w+\n(.*?)\n```", _ARCHITECTURE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found is not None, f"docs/architecture.md shows no {name}"
    return found[1] + "\n"
