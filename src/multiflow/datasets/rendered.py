"""The embedded data set: rendered parts."""

from __future__ import annotations

from pathlib import Path

from multiflow.base.errors import InputError
from rendered_parts.dataset import render_class as render
from rendered_parts.errors import RenderingError, UnknownPartError
from rendered_parts.settings import Rendering

__all__ = ["render_class"]


def render_class(class_name: str, rendering: Rendering, root: Path, processes: int = 1) -> None:
    """Render one class into ``root``; see :func:`rendered_parts.dataset.render_class`.

    Raises:
        InputError: the class is unknown, or the renderer failed.
    """
    try:
        render(class_name, rendering, root, processes)
    except UnknownPartError as error:
        raise InputError(f"dataset.classes: {error}") from error
    except RenderingError as error:
        raise InputError(str(error)) from error
