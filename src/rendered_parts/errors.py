"""What can go wrong while rendering, in one line each."""

from __future__ import annotations

__all__ = ["RenderingError", "UnknownPartError"]


class RenderingError(Exception):
    """The renderer cannot be loaded, or a part of the work failed; the message says what to do."""


class UnknownPartError(RenderingError):
    """There is no such class of parts."""
