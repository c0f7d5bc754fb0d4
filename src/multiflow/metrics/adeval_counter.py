"""ADEval as what counts the pixels, for whoever wants its name behind a number."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiflow.metrics.pixel import Counts, check
from multiflow.metrics.strips import Strips
from multiflow.metrics.upsampling import Pixels

__all__ = ["AdevalCounter"]


class AdevalCounter:
    """Counts pixels with ADEval's accumulator of the CPU; the curves are integrated as everywhere here.

    Scores go in as centres of strips, since ADEval's own strips are equally wide. Its own integrals call ``np.trapz``,
    which NumPy 2.4 no longer has, end at a false-positive rate of 0.3, and divide zero by zero where the curve is flat
    there.

    Args:
        strips: where to count.
    """

    def __init__(self, strips: Strips) -> None:
        self._strips = strips
        count = max(len(strips), 5)  # ADEval takes no fewer
        self._accumulator: Any = _import_adeval().EvalAccumulator(0.0, float(count), nstrips=count)

    def update(self, pixels: Pixels, truth: NDArray[Any]) -> None:
        """Count one sample.

        Raises:
            ValueError: the shapes differ, or a score is not finite.
        """
        check(pixels, truth)
        strip = self._strips.index(pixels.scores)
        if pixels.inside is not None:
            strip[~pixels.inside] = 0
        for centres, mask in zip((strip + 0.5).astype(np.float32), (truth != 0).astype(np.uint8), strict=True):
            self._accumulator.add_anomap(centres, mask)

    @property
    def counts(self) -> Counts:
        """All that was counted so far."""
        found = self._accumulator._pixel_acc
        # ADEval keeps what lies below and above all strips beside them.
        inside = slice(1, 1 + len(self._strips))
        return Counts(
            found.neg_stat[inside], found.pos_stat[inside], found.weighted_pos_stat[inside], self._strips.of_one_value
        )


def _import_adeval() -> ModuleType:
    """ADEval, imported where it is used (it loads OpenCV), without its patch of ``multiprocessing``.

    On import ADEval makes every pickler of :mod:`multiprocessing` send functions as marshalled code. Nothing
    here needs that, and data loaders should not depend on whether something was counted before.
    """
    from multiprocessing.reduction import ForkingPickler

    missing = object()
    before = ForkingPickler.__dict__.get("reducer_override", missing)
    import adeval

    if before is missing and "reducer_override" in ForkingPickler.__dict__:
        del ForkingPickler.reducer_override
    module: ModuleType = adeval
    return module
