"""One synthetic defect: where it is, how it is blended in, and how strongly it counts as one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiflow.datasets.images import load_image
from multiflow.methods.clscnf.settings import SoftLabel, Synthesis
from multiflow.methods.clscnf.synthetic.noise import drawn_noise
from multiflow.methods.clscnf.synthetic.operations import altered

__all__ = ["Defect", "Draw", "blended"]

_NOISE_ABOVE = 0.5
_SAME = 1e-6  # a difference below it is one of rounding
_SLOPE = 5.0


@dataclass(frozen=True)
class Defect:
    """A picture with or without a synthetic defect.

    Attributes:
        image: RGB [S, S, 3] float32, 0 to 1.
        mask: where the defect is [S, S]; nowhere in a picture without one.
        label: what the classifier shall say inside of the mask, 0 to 1; outside it shall say 0.
    """

    image: NDArray[np.float32]
    mask: NDArray[np.bool_]
    label: float

    @property
    def target(self) -> NDArray[np.float32]:
        """What the classifier shall say of every pixel [S, S]."""
        return np.where(self.mask, np.float32(self.label), np.float32(0))


def blended(
    picture: NDArray[np.uint8],
    source: NDArray[np.uint8],
    mask: NDArray[np.bool_],
    transparency: float,
    soft_label: SoftLabel,
) -> Defect:
    """A picture with a piece of another one in it.

    The label is the mean of a sigmoid over those pixels of the mask that have changed: of the mean difference of their
    channels as it is (``signed``), by which a defect darker than the part is trained towards normal, or of its
    absolute value. Where no pixel has changed there is no defect: the released code's label is then no number.

    Args:
        picture, source: RGB [S, S, 3].
        mask: where the source shows [S, S].
        transparency: the picture's share there, 0 to 1.
        soft_label: which difference.
    """
    normal = picture / 255
    image = np.where(mask[..., None], (1 - transparency) * (source / 255) + transparency * normal, normal)
    difference = (image - normal).mean(axis=2)[mask]
    difference = difference[np.abs(difference) > _SAME]
    if difference.size == 0:
        return Defect(normal.astype(np.float32), np.zeros_like(mask), 0.0)
    if soft_label == "absolute":
        difference = np.abs(difference)
    label = float((1 / (1 + np.exp(-_SLOPE * difference))).mean())
    return Defect(image.astype(np.float32), mask, label)


@dataclass(frozen=True)
class Draw:
    """What a synthetic defect is made of; a worker process makes it.

    Attributes:
        picture: of a normal part, RGB [S, S, 3].
        part: where a defect may be [S, S]; everywhere, if nowhere, so that no picture is left out.
        other: RGB [S, S, 3] of what the defect is made of, or the file of a texture.
        generator: draws all that is left to chance.
        synthesis: the settings.
    """

    picture: NDArray[np.uint8]
    part: NDArray[np.bool_]
    other: NDArray[np.uint8] | Path
    generator: np.random.Generator
    synthesis: Synthesis

    def make(self) -> Defect:
        """The picture with its defect, or as it is where noise and part have nothing in common."""
        return self.parts()[-1]

    def parts(self) -> tuple[NDArray[np.uint8], NDArray[np.bool_], Defect]:
        """The source, where the defect would be, and what came of it."""
        generator, synthesis, size = self.generator, self.synthesis, len(self.picture)
        source = load_image(self.other, size) if isinstance(self.other, Path) else self.other
        source = altered(source, generator)
        mask = drawn_noise(size, generator) > _NOISE_ABOVE
        if self.part.any():
            mask &= self.part
        transparency = synthesis.transparency * float(generator.random())
        if generator.random() > synthesis.share:
            mask = np.zeros_like(mask)
        return source, mask, blended(self.picture, source, mask, transparency, synthesis.soft_label)
