"""MVTec AD's layout: a folder per split and defect, masks beside; of the five cameras the one from above."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from rendered_parts.cameras import CAMERAS as RIG
from rendered_parts.defects import DEFECT_NAMES
from rendered_parts.errors import RenderingError
from rendered_parts.geometry import Array
from rendered_parts.picture import least_mask_pixels
from rendered_parts.samples import PlannedSample

__all__ = ["CAMERAS", "MIRRORED", "is_written", "write_sample"]

CAMERAS = RIG[:1]
MIRRORED = False


def is_written(sample: PlannedSample, class_folder: Path) -> bool:
    """Whether the sample's picture is there, which comes after its mask."""
    return _picture(sample, class_folder).is_file()


def write_sample(sample: PlannedSample, views: list[tuple[Array, Array]], class_folder: Path) -> None:
    """Write a sample's mask, if it has a defect, then its picture; each appears whole or not at all.

    Raises:
        RenderingError: the picture does not show the defect.
    """
    ((image, mask),) = views
    picture = _picture(sample, class_folder)
    if sample.defect is not None:
        if mask.sum() < least_mask_pixels(len(mask)):
            raise RenderingError(
                f"{picture.parent.name}/{picture.name}: no attempt shows the defect from above; raise "
                "rendering.image_size, or change rendering.seed"
            )
        folder = class_folder / "ground_truth" / picture.parent.name
        _save(mask.astype(np.uint8) * 255, folder / f"{picture.stem}_mask.png")
    _save(image, picture)


def _picture(sample: PlannedSample, class_folder: Path) -> Path:
    kind = "good" if sample.defect is None else DEFECT_NAMES[sample.defect].replace(" ", "_")
    return class_folder / sample.split / kind / f"{sample.number:03d}.png"


def _save(pixels: Array, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    Image.fromarray(np.ascontiguousarray(pixels)).save(partial, format="png")
    partial.rename(path)
