"""Which samples a class has, whatever the layout in which they are written."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from rendered_parts.parts import PartClass
from rendered_parts.settings import Rendering

__all__ = ["PlannedSample", "plan_samples"]


@dataclass(frozen=True)
class PlannedSample:
    """One sample to render.

    Attributes:
        part: class name.
        split: ``train`` or ``test``.
        defect: Real-IAD's code, or None for a normal sample.
        number: from 1, of the normal samples or of those with this defect.
        seed: of everything random in it; depends on the data set's seed, the class, the kind of sample and
            the place within the kind, so that neither further classes nor further samples change it.
    """

    part: str
    split: str
    defect: str | None
    number: int
    seed: tuple[int, ...]

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
