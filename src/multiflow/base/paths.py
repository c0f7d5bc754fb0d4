"""Paths as a user writes them in a configuration."""

from __future__ import annotations

import os
import re
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["PathText", "expand_path"]

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([^{}]*)\})")


def expand_path(text: str) -> str:
    """A path with ``~``, ``$NAME`` and ``${NAME}`` replaced as a shell does; where it is there as written, it stays.

    Raises:
        ValueError: a variable or a home directory is not known.
    """
    if os.path.lexists(text):
        return text
    expanded = os.path.expanduser(text)
    if re.match(r"~[\w.-]*(/|$)", expanded):
        raise ValueError(f"{text}: the home directory of {expanded.split('/')[0]} is not known; write the whole path")
    path = _VARIABLE.sub(lambda found: os.environ.get(found[1] or found[2], found[0]), expanded)
    unknown = [found[1] or found[2] for found in _VARIABLE.finditer(path)]
    if unknown and not os.path.lexists(path):
        raise ValueError(f"{text}: the variable {unknown[0]} is not set; export it, or write the whole path")
    return path


PathText = Annotated[str, AfterValidator(expand_path)]
"""A path in the configuration; it is expanded when the configuration is read."""
