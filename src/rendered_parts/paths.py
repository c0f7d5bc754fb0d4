"""Where a rendered class lies, by the settings alone."""

from __future__ import annotations

from rendered_parts.settings import Rendering

__all__ = ["class_folder", "index_files"]


def class_folder(settings: Rendering, name: str) -> str:
    """The folder of a class, relative to the data set's."""
    return f"realiad_{settings.image_size}/{name}" if settings.layout == "realiad" else name


def index_files(settings: Rendering, name: str) -> list[str]:
    """The files beside it that say what a class's pictures show, relative to the data set's folder; they come last."""
    return [f"realiad_jsons/{name}.json"] if settings.layout == "realiad" else []
