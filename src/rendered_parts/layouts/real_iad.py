"""Real-IAD's layout: a folder per sample, in which the views that show its defect have a mask, and a JSON per class."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from rendered_parts.cameras import CAMERAS
from rendered_parts.geometry import Array
from rendered_parts.picture import least_mask_pixels
from rendered_parts.samples import PlannedSample

__all__ = ["CAMERAS", "MIRRORED", "class_index", "is_written", "sample_folder", "sample_stems", "write_sample"]

MIRRORED = True
_NORMAL = "OK"
_DAY = "20261121"


def sample_folder(sample: PlannedSample) -> str:
    """Folder under the class's, such as ``NG/AK/S0001``."""
    return f"{_NORMAL if sample.defect is None else f'NG/{sample.defect}'}/S{sample.number:04d}"


def sample_stems(sample: PlannedSample) -> list[str]:
    """File names without extension of the five views; the cameras fire two seconds apart."""
    label = _NORMAL if sample.defect is None else f"NG_{sample.defect}"
    start = 8 * 3600 + zlib.crc32(repr((sample.seed, sample.part)).encode()) % (10 * 3600)
    names = []
    for index, camera in enumerate(CAMERAS):
        second = start + 2 * index
        time = f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"
        names.append(f"{sample.part}_{sample.number:04d}_{label}_{camera.name}_{_DAY}{time}")
    return names


def is_written(sample: PlannedSample, class_folder: Path) -> bool:
    """Whether the sample's folder is there, which appears whole."""
    return (class_folder / sample_folder(sample)).is_dir()


def write_sample(sample: PlannedSample, views: list[tuple[Array, Array]], class_folder: Path) -> None:
    """Write a sample's five views into its folder, which appears whole or not at all."""
    target = class_folder / sample_folder(sample)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    for stem, (image, mask) in zip(sample_stems(sample), views, strict=True):
        Image.fromarray(np.ascontiguousarray(image)).save(partial / f"{stem}.jpg", quality=93, subsampling=0)
        if mask.sum() >= least_mask_pixels(len(mask)):
            Image.fromarray(mask.astype(np.uint8) * 255).save(partial / f"{stem}.png")
    try:
        partial.rename(target)
    except OSError:
        # A worker that outlived a killed run has been faster; its bytes are the same.
        if not target.is_dir():
            raise
        shutil.rmtree(partial)


def class_index(name: str, samples: list[PlannedSample], class_folder: Path) -> str:
    """The content of ``<class>.json``."""
    index: dict[str, Any] = {
        "meta": {"prefix": f"{name}/", "normal_class": _NORMAL, "pre_transform": None},
        "train": [],
        "test": [],
    }
    for sample in samples:
        index[sample.split] += _records(name, sample, class_folder)
    return json.dumps(index, indent=1) + "\n"


def _records(name: str, sample: PlannedSample, class_folder: Path) -> list[dict[str, str | None]]:
    """The records of a rendered sample of a class; a view with a mask is anomalous, every other one is normal."""
    records: list[dict[str, str | None]] = []
    for stem in sample_stems(sample):
        mask = f"{sample_folder(sample)}/{stem}.png"
        visible = (class_folder / mask).exists()
        records.append(
            {
                "category": name,
                "anomaly_class": sample.defect if visible else _NORMAL,
                "image_path": f"{sample_folder(sample)}/{stem}.jpg",
                "mask_path": mask if visible else None,
            }
        )
    return records
