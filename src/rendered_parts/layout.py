"""Real-IAD's layout: which samples a class has, how their files are called, what the JSON says."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rendered_parts.parts import PartClass
from rendered_parts.settings import Rendering

__all__ = ["NORMAL", "PlannedSample", "class_index", "image_folder", "plan_samples", "sample_records"]

NORMAL = "OK"
_DAY = "20261121"


@dataclass(frozen=True)
class PlannedSample:
    """One sample to render.

    Attributes:
        part: name of the part.
        split: ``train`` or ``test``.
        defect: Real-IAD's code, or None for a normal sample.
        number: the number in its folder's name, ``S0001``.
        seed: of everything random in it; depends on the data set's seed, the class, the kind of sample and
            the place within the kind, so that neither further classes nor further samples change it.
    """

    part: str
    split: str
    defect: str | None
    number: int
    seed: tuple[int, ...]

    @property
    def folder(self) -> str:
        """Folder under the class's, such as ``NG/AK/S0001``."""
        return f"{NORMAL if self.defect is None else f'NG/{self.defect}'}/S{self.number:04d}"

    @property
    def stems(self) -> list[str]:
        """File names without extension of the five views; the cameras fire two seconds apart."""
        label = NORMAL if self.defect is None else f"NG_{self.defect}"
        start = 8 * 3600 + zlib.crc32(repr((self.seed, self.part)).encode()) % (10 * 3600)
        names = []
        for camera in range(5):
            second = start + 2 * camera
            time = f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"
            names.append(f"{self.part}_{self.number:04d}_{label}_C{camera + 1}_{_DAY}{time}")
        return names

    def generator(self, attempt: int = 0) -> np.random.Generator:
        """The sample's own random generator; further attempts draw the sample anew."""
        return np.random.default_rng((*self.seed, attempt))


def plan_samples(part: PartClass, settings: Rendering) -> list[PlannedSample]:
    """The samples of a class: training, normal test, anomalous test (the class's defects in turn)."""
    name = zlib.crc32(part.name.encode())

    def sample(split: str, defect: str | None, number: int, kind: int, index: int) -> PlannedSample:
        return PlannedSample(part.name, split, defect, number, (settings.seed, name, kind, index))

    codes = part.defects
    return [
        *(sample("train", None, i + 1, 0, i) for i in range(settings.train)),
        *(sample("test", None, settings.train + i + 1, 1, i) for i in range(settings.test_ok)),
        *(sample("test", codes[i % len(codes)], i // len(codes) + 1, 2, i) for i in range(settings.test_ng)),
    ]


def image_folder(settings: Rendering) -> str:
    """Name of the folder that holds the class folders, such as ``realiad_384``."""
    return f"realiad_{settings.image_size}"


def sample_records(name: str, sample: PlannedSample, class_folder: Path) -> list[dict[str, str | None]]:
    """The JSON records of a rendered sample of a class; a view with a mask is anomalous, every other one is normal."""
    records: list[dict[str, str | None]] = []
    for stem in sample.stems:
        mask = f"{sample.folder}/{stem}.png"
        visible = (class_folder / mask).exists()
        records.append(
            {
                "category": name,
                "anomaly_class": sample.defect if visible else NORMAL,
                "image_path": f"{sample.folder}/{stem}.jpg",
                "mask_path": mask if visible else None,
            }
        )
    return records


def class_index(name: str, samples: list[PlannedSample], class_folder: Path) -> dict[str, Any]:
    """The content of ``<class>.json``."""
    index: dict[str, Any] = {
        "meta": {"prefix": f"{name}/", "normal_class": NORMAL, "pre_transform": None},
        "train": [],
        "test": [],
    }
    for sample in samples:
        index[sample.split] += sample_records(name, sample, class_folder)
    return index
