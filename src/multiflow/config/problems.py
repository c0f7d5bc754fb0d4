"""What is wrong with a configuration, a line a key."""

from __future__ import annotations

from pydantic import ValidationError

__all__ = ["problem_lines"]


def problem_lines(error: ValidationError, prefix: str = "") -> list[str]:
    """One line per problem of a validation error."""
    lines = []
    for problem in error.errors():
        # A rule of a whole block names no key of it.
        place = (prefix + ".".join(str(part) for part in problem["loc"])).removesuffix(".")
        if problem["type"] == "value_error":
            lines.append(f"{place}: {problem['ctx']['error']}" if place else str(problem["ctx"]["error"]))
        elif problem["type"] == "extra_forbidden":
            lines.append(f"{place}: unknown key; docs/keys.md lists the keys")
        elif problem["type"] == "missing":
            lines.append(f"{place}: missing; docs/keys.md says what it means")
        else:
            lines.append(f"{place}: {problem['msg'][0].lower()}{problem['msg'][1:]}, found {problem['input']!r}")
    return lines
