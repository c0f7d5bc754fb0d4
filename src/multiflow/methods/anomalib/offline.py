"""No job fetches anything: a model that would is refused, in one line that names what it asked for."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from multiflow.base.errors import InputError

__all__ = ["offline"]


@contextmanager
def offline(model: str) -> Iterator[None]:
    """Refuse every look-up of a host's address, which all downloads begin with.

    Args:
        model: of anomalib, for the message.

    Raises:
        InputError: something was to be fetched, and failed for it.
    """
    asked: list[str] = []

    def refuse(host: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(str(host))
        raise OSError(f"no network here: {host}")

    try:
        with patch.object(socket, "getaddrinfo", refuse):
            yield
    except Exception as error:  # a library wraps the failure of a download in an error of its own
        if not asked:
            raise
        raise InputError(
            f"model: {model} of anomalib asked for {asked[0]}, but a job fetches nothing: take a model whose network "
            "is one of timm's, and name it in network.backbone"
        ) from error
