"""The normal pictures of a class, and the synthetic defects that are drawn on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from multiflow.methods.clscnf.settings import Synthesis
from multiflow.methods.clscnf.synthetic.defects import Draw
from multiflow.methods.clscnf.synthetic.objects import object_mask
from multiflow.methods.clscnf.synthetic.textures import Texture, find_textures
from multiflow.methods.contract import Samples

__all__ = ["NormalPictures", "read_pictures"]


@dataclass(frozen=True)
class NormalPictures:
    """Pictures of normal parts, and what their defects are made of.

    Attributes:
        images: RGB [N, S, S, 3].
        parts: where a defect may be [N, S, S].
        textures: beside the pictures themselves.
        synthesis: the settings.
    """

    images: NDArray[np.uint8]
    parts: NDArray[np.bool_]
    textures: Sequence[Texture]
    synthesis: Synthesis

    def draws(self, order: Sequence[int], seed: Sequence[int]) -> Iterator[Draw]:
        """A defect on each of some pictures.

        Each is drawn by a generator of its own, so that no other one, and no interruption, changes it.

        Args:
            order: the pictures by number.
            seed: numbers that no other call gets.
        """
        for place, index in enumerate(order):
            generator = np.random.default_rng([*seed, place])
            yield Draw(self.images[index], self.parts[index], self._source(generator), generator, self.synthesis)

    def _source(self, generator: np.random.Generator) -> Texture:
        if not self.textures or generator.random() < self.synthesis.in_domain_share:
            return self.images[int(generator.integers(len(self.images)))]
        return self.textures[int(generator.integers(len(self.textures)))]


def read_pictures(
    samples: Samples,
    places: Sequence[tuple[int, int]],
    synthesis: Synthesis,
    size: int,
    step: Callable[[], None] = lambda: None,
) -> NormalPictures:
    """Read pictures into memory: 0.26 MB each at 256 px.

    Args:
        samples: the training samples.
        places: sample and view of each picture.
        synthesis: the settings.
        size: side of the pictures, px.
        step: called after each of them.

    Raises:
        InputError: there are no textures.
    """
    textures = find_textures(synthesis, size)
    images = np.empty((len(places), size, size, 3), np.uint8)
    parts = np.ones((len(places), size, size), bool)
    if synthesis.objects.source == "foreground":
        by_sample: dict[int, list[int]] = {}
        for index, (sample, _) in enumerate(places):
            by_sample.setdefault(sample, []).append(index)
        for sample, indices in by_sample.items():
            parts[indices] = samples[sample].foreground((size, size))[[places[index][1] for index in indices]]
    with closing(samples.pictures(places)) as pictures:
        for index, picture in enumerate(pictures):
            images[index] = picture
            if synthesis.objects.source == "brightness":
                objects = synthesis.objects
                parts[index] = object_mask(picture, objects.bright, objects.filled) > 0
            step()
    return NormalPictures(images, parts, textures, synthesis)
