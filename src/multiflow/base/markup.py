"""Names in reStructuredText, the language of the report's captions."""

from __future__ import annotations

import re

__all__ = ["as_typed"]

_MARKUP = re.compile(r"[!-/:-@\[-`{-~]")


def as_typed(text: object) -> str:
    r"""A name of the user's as reStructuredText that prints it as it is typed.

    Example:
        >>> print(as_typed("nut_ *M5*"))
        nut\_ \*M5\*
    """
    # Blanks at its ends would keep the markup around it from being seen.
    return _MARKUP.sub(r"\\\g<0>", str(text).strip())
