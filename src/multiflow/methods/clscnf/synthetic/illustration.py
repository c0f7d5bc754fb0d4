"""Some synthetic defects of a class, with all that they are made of."""

from __future__ import annotations

import numpy as np

from multiflow.methods.clscnf.settings import Settings
from multiflow.methods.clscnf.synthetic.pictures import read_pictures
from multiflow.methods.contract import Illustration, Samples

__all__ = ["illustrate"]

_ROWS = 6


def illustrate(samples: Samples, settings: Settings, seed: int) -> Illustration:
    """Draw defects on pictures that are spread over the training set and its views.

    Args:
        samples: the training samples.
        settings: the method's.
        seed: as in the training; the defects are of the same kind, not the same ones.

    Raises:
        InputError: there are no textures.
    """
    views = len(samples.cameras)
    count = min(_ROWS, len(samples) * views)
    chosen = np.linspace(0, len(samples) - 1, count).astype(int).tolist()
    places = [(sample, row % views) for row, sample in enumerate(chosen)]
    pictures = read_pictures(samples, places, settings.synthesis, settings.image_size)
    rows, notes = [], []
    for (sample, view), draw in zip(places, pictures.draws(range(count), (seed,)), strict=True):
        source, mask, defect = draw.parts()
        rows.append((draw.picture, draw.part, source, mask, defect.image, defect.target))
        found = f"label {defect.label:.2f}" if defect.mask.any() else "no defect"
        notes.append(f"{samples[sample].key}\n{samples.cameras[view]}, {found}")
    return Illustration(("Normal", "Object", "Source", "Mask", "Blended", "Soft label"), rows, notes)
