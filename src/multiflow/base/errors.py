"""The one exception that stands for a user's mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["InputError", "permitted", "printable"]


def printable(text: str) -> str:
    """Text that any terminal and log can show; a name from outside may hold bytes of any kind, which are escaped."""
    escaped = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in escaped)


class InputError(Exception):
    """A mistake in the user's input, reported without a traceback.

    Each problem is one line that names the file, the place in it, what was expected, what was found and
    what to do. Several problems of one input are reported together.

    Args:
        problems: one line, or an iterable of lines.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        lines = [problems] if isinstance(problems, str) else problems
        self.problems: list[str] = [printable(" ".join(line.splitlines())) for line in lines]
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[InputError], tuple[list[str]]]:
        return InputError, (self.problems,)


@contextmanager
def permitted() -> Iterator[None]:
    """What this user may not read or write is one line, and no traceback.

    Raises:
        InputError: the file or folder, and what to do.
    """
    try:
        yield
    except PermissionError as error:
        if error.filename is None:
            raise
        raise InputError(
            f"{error.filename}: cannot be read or written ({error.strerror}); give this user the right to"
        ) from error
