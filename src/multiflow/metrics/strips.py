"""Strips that scores are counted in: all pixel metrics depend on nothing but the order of the scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiflow.metrics.upsampling import Pixels

__all__ = ["Strips", "find_strips"]

# A quarter of the strips lies among the highest 3 % of the scores: average precision and F1 of rare defects are decided
# there, where equally filled strips would be too few.
_TAIL_STRIPS, _TAIL_SCORES = 0.25, 0.03


@dataclass(frozen=True)
class Strips:
    """Strips from the lowest scores to the highest.

    The first strip holds the pixels without a score (background that is ignored), and nothing else. Strip ``i > 0``
    holds the scores from ``edges[i - 2]`` up to, but not including, ``edges[i - 1]``; the second and the last are open.

    Attributes:
        edges: ascending, distinct.
    """

    edges: NDArray[Any]

    def __len__(self) -> int:
        return self.edges.size + 2

    @cached_property
    def of_one_value(self) -> NDArray[np.bool_]:
        """Strips whose scores are all equal by construction."""
        found = np.zeros(len(self), bool)
        found[0] = True
        found[2:-1] = np.nextafter(self.edges[:-1], np.inf) == self.edges[1:]
        return found

    def index(self, scores: NDArray[Any]) -> NDArray[np.intp]:
        """The strip of each score."""
        return np.searchsorted(self.edges, scores, "right") + 1

    def histogram(self, pixels: Pixels) -> NDArray[np.int64]:
        """How many pixels of a sample lie in each strip."""
        # Edges are sought among the sorted scores, not each score among the edges: four times as fast.
        below = np.searchsorted(pixels.ordered, self.edges, "left")
        background = pixels.scores.size - pixels.ordered.size
        return np.concatenate([[background], np.diff(below, prepend=0, append=pixels.ordered.size)])


def find_strips(scores: NDArray[Any], count: int) -> Strips:
    """Strips between which lie equally many scores, and fewer among the highest.

    Equally wide strips would put all scores into one where a few are a thousand times as high as the others. Three
    quarters of the strips hold equally many scores; the last quarter divides the highest 3 % geometrically, down to
    single scores.

    - A score of exactly 0 has a strip of its own and is left out otherwise: a background that was set to 0 would take
      all strips for itself, and a strip for it and the foreground's scores beside it would tie them.
    - So has a score that fills several strips (ties), and the few scores right above it are not counted as its equals.
    - Where there are no more distinct scores than strips, each has its own strip, and all metrics are exact.

    Args:
        scores: an even subset of the scores that will be counted, of any shape; others are counted as well.
        count: number of strips, at least 10.

    Raises:
        ValueError: the count is too small.
    """
    if count < 10:
        raise ValueError(f"there must be at least 10 strips, found {count}")
    values = np.sort(scores[scores != 0])
    room = count - 4  # the strip of the background and the two edges of zero
    edges, places = np.unique(values, return_counts=True)
    if edges.size > room:
        edges, places = np.unique(values[_ranks(values.size, room)], return_counts=True)
    ends = np.nextafter(edges[places > 1], np.inf)
    zero = np.zeros(1, values.dtype)
    return Strips(np.unique(np.concatenate([edges, ends, zero, np.nextafter(zero, np.inf)])))


def _ranks(scores: int, count: int) -> NDArray[np.int64]:
    """Ranks of ``count`` scores among the sorted ones: equally far apart, closer at the upper end."""
    tail = int(count * _TAIL_STRIPS)
    even = (np.arange(count - tail) + 0.5) * (scores / (count - tail))
    highest = scores - np.geomspace(1, max(1.0, scores * _TAIL_SCORES), tail)
    return np.concatenate([even, highest]).astype(np.int64)
