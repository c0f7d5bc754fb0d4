"""What a method may have beside what the contract asks of it, called so that a mistake in it is one line."""

from __future__ import annotations

from typing import Any, TypeVar

from multiflow.base.errors import InputError
from multiflow.methods.contract import Method

__all__ = ["ask"]

Answer = TypeVar("Answer")


def ask(method: Method, hook: str, kind: type[Answer], *arguments: Any) -> Answer | None:
    """What an optional function of a method returns; None where the method has no such function.

    Args:
        method: the method.
        hook: name of the function, such as ``cost``.
        kind: what it returns.
        arguments: as the contract describes them.

    Raises:
        InputError: it fails, or returns something else.
    """
    function = getattr(method, hook, None)
    if function is None:
        return None
    place, remedy = f"method {method.heading}: {hook}", "correct the method"
    try:
        found = function(*arguments)
    except InputError:
        raise
    except Exception as error:  # the method is somebody's own, and may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{place}: expected {kind.__name__}, it failed ({reason}); {remedy}") from error
    if not isinstance(found, kind) or isinstance(found, bool):
        raise InputError(f"{place}: expected {kind.__name__}, found {found!r:.60}; {remedy}")
    texts = [*found, *found.values()] if isinstance(found, dict) else found if isinstance(found, tuple) else ()
    for text in texts:
        if not isinstance(text, str):
            raise InputError(f"{place}: expected texts, found {text!r:.60}; {remedy}")
    return found
