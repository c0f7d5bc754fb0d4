"""How rendered samples are written: a module per layout."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

from rendered_parts.settings import Rendering

if TYPE_CHECKING:
    from rendered_parts.cameras import Camera
    from rendered_parts.geometry import Array
    from rendered_parts.samples import PlannedSample

__all__ = ["Layout", "layout_of"]

_MODULES = {"realiad": "rendered_parts.layouts.real_iad", "mvtec": "rendered_parts.layouts.mvtec"}


class Layout(Protocol):
    """How the samples of a class lie in its folder."""

    @property
    def CAMERAS(self) -> tuple[Camera, ...]:  # noqa: N802
        """The views that are rendered."""
        ...

    @property
    def MIRRORED(self) -> bool:  # noqa: N802
        """Whether some cameras deliver mirrored pictures, as the class says."""
        ...

    def is_written(self, sample: PlannedSample, class_folder: Path) -> bool:
        """Whether all files of a sample are there."""
        ...

    def write_sample(self, sample: PlannedSample, views: list[tuple[Array, Array]], class_folder: Path) -> None:
        """Write a sample's image ``[size, size, 3]`` and mask ``[size, size]`` of each view, whole or not at all."""
        ...


def layout_of(settings: Rendering) -> Layout:
    """The layout that the settings name."""
    return cast("Layout", importlib.import_module(_MODULES[settings.layout]))
