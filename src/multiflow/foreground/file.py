"""The foreground file: the raw segmentation of a class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from multiflow.base.hdf5 import Hdf5File, Split

__all__ = ["ForegroundFile", "ForegroundSplit", "pack"]


def pack(masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Masks [..., S, S] as they are stored, eight pixels of a row a byte: [..., S, ceil(S / 8)]."""
    return np.packbits(masks, axis=-1)


class ForegroundSplit(Split):
    """One split of a foreground file."""

    def segmentation(self, index: int) -> NDArray[np.bool_]:
        """Raw segmentation of one sample [V, S, S]: true is foreground.

        :func:`multiflow.foreground.grid.sample_foreground` makes the foreground of it.
        """
        packed = self._array("mask", index)
        return np.unpackbits(packed, axis=-1, count=packed.shape[-2]).view(np.bool_)


class ForegroundFile(Hdf5File):
    """The raw segmentation of one class, written by :func:`multiflow.foreground.segmentation.segment_foreground`.

    Args:
        path: the file.

    Raises:
        InputError: at the first use, the file is missing, damaged or of another kind.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, "foreground")

    @property
    def cameras(self) -> list[str]:
        """The views of a sample, in order."""
        return list(self.attribute("cameras"))

    def split(self, name: str) -> ForegroundSplit:
        """The split ``train`` or ``test``."""
        return ForegroundSplit(self, name)
