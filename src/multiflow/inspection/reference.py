"""Something to compare a part's score with: the scores of the class's test parts, which are no threshold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from multiflow.datasets.ground_truth import GroundTruthFile
from multiflow.inspection.run_files import RunFiles
from multiflow.methods.contract import Scores
from multiflow.metrics.ranking import mean_of_highest, sample_labels, sample_scores
from multiflow.metrics.settings import Evaluation
from multiflow.metrics.upsampling import pixels
from multiflow.scores import ScoreFile

__all__ = ["Reference", "part_scores"]


def part_scores(scores: Scores, evaluation: Evaluation) -> dict[str, float]:
    """One part's score by every rule that ``evaluation.sample_score`` knows.

    Args:
        scores: of the part, with image scores.
        evaluation: gives the size at which ``top1`` counts pixels.
    """
    image_scores = np.asarray(scores.image_score)[None]
    found = {rule: float(values[0]) for rule, values in sample_scores(image_scores).items()}
    ordered = pixels(scores.map, scores.foreground, evaluation.ground_truth_size).ordered
    return {**found, "top1": mean_of_highest(ordered)}


@dataclass(frozen=True)
class Reference:
    """Scores that the same model gave the class's test parts.

    Args:
        path: the scores file.
        rule: how that run's evaluation makes a sample's score.
        normal: sample scores of the normal test parts.
        anomalous: those of the anomalous ones.
        normal_views: image scores of the normal views of each camera.
    """

    path: Path
    rule: str
    normal: NDArray[np.float64]
    anomalous: NDArray[np.float64]
    normal_views: list[NDArray[np.float32]]

    @classmethod
    def of_run(cls, run: RunFiles, model_sha256: str) -> Reference | None:
        """The scores of this very model, where its run holds them."""
        if not run.scores.is_file() or not run.ground_truth.is_file():
            return None
        evaluation = run.evaluation()
        with ScoreFile(run.scores) as scores, GroundTruthFile(run.ground_truth) as truth:
            # A new model may not have scored yet, and the data set may have changed since.
            if scores.provenance.get("model_sha256") != model_sha256 or scores.samples != truth.samples:
                return None
            labels, image_scores = truth.labels, scores.image_scores
            if evaluation.sample_score == "top1":
                values = np.array([_stored_part(scores, index, evaluation) for index in range(len(scores))])
            else:
                values = sample_scores(image_scores)[evaluation.sample_score]
            anomalous = sample_labels(labels)
            views = [image_scores[labels[:, view] == 0, view] for view in range(labels.shape[1])]
            return cls(run.scores, evaluation.sample_score, values[~anomalous], values[anomalous], views)

    def describe(self, score: float) -> dict[str, Any]:
        """Where a part's score lies among those of the test parts, as values that JSON can hold."""
        groups = {"normal": self.normal, "anomalous": self.anomalous}
        counts = {name: {"parts": len(group), "lower": int((group < score).sum())} for name, group in groups.items()}
        return {"source": str(self.path), "rule": self.rule, **counts}


def _stored_part(scores: ScoreFile, index: int, evaluation: Evaluation) -> float:
    """The score ``top1`` of a test part."""
    return mean_of_highest(pixels(scores.map(index), scores.foreground(index), evaluation.ground_truth_size).ordered)
