"""The one exception that stands for a user's mistake."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["InputError"]


class InputError(Exception):
    """A mistake in the user's input, reported without a traceback.

    Each problem is one line that names the file, the place in it, what was expected, what was found and
    what to do. Several problems of one input are reported together.

    Args:
        problems: one line, or an iterable of lines.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        lines = [problems] if isinstance(problems, str) else problems
        # A name out of a damaged file can hold anything.
        self.problems: list[str] = [" ".join(line.splitlines()) for line in lines]
        super().__init__("\n".join(self.problems))

    def __reduce__(self) -> tuple[type[InputError], tuple[list[str]]]:
        return InputError, (self.problems,)
