"""Paths as a user writes them in a configuration."""

from __future__ import annotations

import os
import re
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["PathText", "expand_path"]

_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([^{}]*)\})")


def expand_path(text: str) -> str:
    """A path with ``~``, ``$NAME`` and ``${NAME}`` replaced as a shell does; one that is there as it is written stays.

    Raises:
        ValueError: a variable or home directory is not known.
    """
    if os.path.lexists(text):
        return text
    expanded = os.path.expanduser(text)
    if re.match(r"~[\w.-]*(/|$)", expanded):
        raise ValueError(f"{text}: the home directory of {expanded.split('/')[0]} is not known; write the whole path")
    return _VARIABLE.sub(lambda found: _value(text, found), expanded)


def _value(text: str, found: re.Match[str]) -> str:
    name = found[1] or found[2]
    if name not in os.environ:
        raise ValueError(f"{text}: the variable {name} is not set; export it, or write the whole path")
    return os.environ[name]


PathText = Annotated[str, AfterValidator(expand_path)]
"""A path in the configuration; it is expanded when the configuration is read."""
