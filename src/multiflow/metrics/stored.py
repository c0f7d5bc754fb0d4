"""The scores of a class's samples from its scores file, by the rule of the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from multiflow.metrics.ranking import mean_of_highest, sample_scores
from multiflow.metrics.settings import Evaluation
from multiflow.metrics.upsampling import pixels

if TYPE_CHECKING:
    from multiflow.scores import ScoreFile

__all__ = ["stored_sample_scores"]


def stored_sample_scores(scores: ScoreFile, evaluation: Evaluation) -> NDArray[np.float64]:
    """Sample scores [N] as :func:`multiflow.metrics.counting.count_metrics` ranks them.

    Args:
        scores: the scores of N samples.
        evaluation: its ``sample_score`` is the rule; ``top1`` counts pixels at its ``ground_truth_size``.
    """
    if evaluation.sample_score != "top1":
        return sample_scores(scores.image_scores)[evaluation.sample_score]
    size = evaluation.ground_truth_size
    return np.array(
        [
            mean_of_highest(pixels(scores.map(index), scores.foreground(index), size).ordered)
            for index in range(len(scores))
        ]
    )
