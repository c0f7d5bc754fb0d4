"""What the figures of one method and class are drawn from, beside the scores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from multiflow.base.errors import InputError
from multiflow.datasets.ground_truth import GroundTruthFile
from multiflow.foreground.file import ForegroundFile
from multiflow.foreground.grid import sample_foreground
from multiflow.foreground.settings import Foreground
from multiflow.metrics.settings import Evaluation
from multiflow.scores import ScoreFile

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Subject"]


@dataclass(frozen=True)
class Subject:
    """A method on a class.

    Attributes:
        heading: the method's name in tables.
        class_name: the class.
        samples: the class's samples table.
        root: the data set's folder.
        truth: the class's ground truth.
        segmentation: the class's foreground file; None where the method reads none.
        foreground: what is made of the segmentation.
        evaluation: how maps become sample scores, and from which grey value on the ground truth is anomalous.
    """

    heading: str
    class_name: str
    samples: DataFrame
    root: Path
    truth: GroundTruthFile
    segmentation: ForegroundFile | None
    foreground: Foreground
    evaluation: Evaluation

    def short_name(self, sample: str) -> str:
        """A sample's key without the class."""
        return sample.removeprefix(self.class_name).strip("_")

    def check(self, scores: ScoreFile) -> None:
        """Check that scores are those of the ground truth's samples.

        Raises:
            InputError: they are of others, or in another order.
        """
        if scores.samples != self.truth.samples:
            raise InputError(
                f"{scores.path}: expected scores of the test samples of {self.truth.path}, found others; delete it and "
                "run the workflow again"
            )

    def masks(self, split: str, sample: str) -> NDArray[np.bool_] | None:
        """The foreground [V, m, m] of a sample before a method brings it to its grid; None where nothing is masked."""
        side = self.foreground.mask_size
        return self._foreground(split, sample, (side, side))

    def inside(self, scores: ScoreFile, index: int) -> NDArray[np.bool_]:
        """What of a test sample's map has a score of its own [V, h, w]; the rest is drawn as background.

        That is what the scores file says. Where it says nothing, the background is what the segmentation leaves out and
        has the score 0: a method that scores the background, too, is drawn whole.
        """
        own = scores.foreground(index)
        if own is not None:
            return own
        values = scores.map(index)
        mask = self._foreground("test", scores.samples[index], (values.shape[1], values.shape[2]))
        return np.ones(values.shape, bool) if mask is None else mask | (values != 0)

    def _foreground(self, split: str, sample: str, grid: tuple[int, int]) -> NDArray[np.bool_] | None:
        if self.segmentation is None:
            return None
        stored = self.segmentation.split(split)
        index = stored.samples.index(sample)
        return sample_foreground(stored.segmentation(index), stored.images[index], grid, self.foreground)
