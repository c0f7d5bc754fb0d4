"""From a scores file to the metrics of a run (paper section 4.2)."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.base.progress import Progress
from multiflow.metrics.adeval_counter import AdevalCounter
from multiflow.metrics.intervals import Interval, auroc_interval
from multiflow.metrics.pixel import Counter, StripCounter, pixel_metrics
from multiflow.metrics.ranking import auroc, average_precision, f1_max, mean_of_highest, sample_labels, sample_scores
from multiflow.metrics.settings import Evaluation
from multiflow.metrics.strips import Strips, find_strips
from multiflow.metrics.upsampling import pixels
from multiflow.scores import ScoreFile

if TYPE_CHECKING:
    from multiflow.datasets.ground_truth import GroundTruthFile

__all__ = ["Counted", "count_metrics", "write_metrics"]

logger = logging.getLogger(__name__)

# 16 MB, and hundreds of scores for each strip.
_SCORES_FOR_STRIPS = 2**22


@dataclass(frozen=True)
class Counted:
    """What was counted of one class and seed.

    Attributes:
        metrics: fractions by name; None where undefined: no anomalous or no normal one is there.
        diagnostics: what helps to judge them: ``views_at_zero``, the share of views whose score is exactly 0.
        intervals: 95 % confidence intervals over the test samples, by metric; None where there is none.
    """

    metrics: dict[str, float | None]
    diagnostics: dict[str, float]
    intervals: dict[str, Interval | None] = field(default_factory=dict)


def count_metrics(scores: ScoreFile, truth: GroundTruthFile, evaluation: Evaluation) -> Counted:
    """All metrics of one class and seed.

    Image and sample metrics are exact. For pixel metrics the maps are upsampled bilinearly to the size of the ground
    truth and counted in strips, in two passes: the first finds the strips from an even subset of all pixels. Memory
    doesn't grow with the number of samples. Where the scores have a foreground, pixels outside of it rank below all
    others: a defect there is missed.

    Of a type of defect, the anomalous samples (views) of that type are ranked among all normal ones; a sample's types
    are those of its anomalous views.

    Raises:
        InputError: the scores are not those of these samples.
    """
    labels, types = truth.labels.astype(bool), np.array(truth.anomaly_classes, dtype=object)
    _check(scores, truth, labels.shape)
    counter, top1 = _count_pixels(scores, truth, evaluation)
    image_scores = scores.image_scores
    by_rule = {**sample_scores(image_scores), "top1": top1}
    anomalous = sample_labels(labels)
    chosen = by_rule[evaluation.sample_score]
    pixel = pixel_metrics(counter.counts, evaluation.false_positive_limit)
    metrics = {
        "sample_auroc": auroc(anomalous, chosen),
        "image_auroc": auroc(labels.ravel(), image_scores.ravel()),
        "pixel_auroc": pixel.auroc,
        "aupro": pixel.aupro,
        "image_ap": average_precision(labels.ravel(), image_scores.ravel()),
        "image_f1_max": f1_max(labels.ravel(), image_scores.ravel()),
        "pixel_ap": pixel.ap,
        "pixel_f1_max": pixel.f1_max,
        **{f"sample_auroc_{rule}": auroc(anomalous, values) for rule, values in by_rule.items()},
    }
    for name in sorted(set(types[labels])):
        of_type = labels & (types == name)
        metrics[f"sample_auroc:{name}"] = _auroc_of_type(anomalous, of_type.any(axis=1), chosen)
        metrics[f"image_auroc:{name}"] = _auroc_of_type(labels, of_type, image_scores)
    intervals = {
        "sample_auroc": auroc_interval(anomalous[:, None], chosen[:, None]),
        "image_auroc": auroc_interval(labels, image_scores),
    }
    return Counted(metrics, {"views_at_zero": float((image_scores == 0).mean())}, intervals)


def write_metrics(
    path: Path,
    experiment: str,
    class_name: str,
    seed: int,
    counted: Counted,
    command: str,
    provenance: Mapping[str, Any],
    usage: Mapping[str, Any] | None = None,
) -> None:
    """Write a run's JSON.

    Args:
        path: the file.
        experiment, class_name, seed: which run it is.
        counted: its metrics, diagnostics and intervals.
        command: the one that makes these numbers again.
        provenance: all that they came from.
        usage: what the scoring took.
    """
    record = {
        "experiment": experiment,
        "class": class_name,
        "seed": seed,
        "metrics": counted.metrics,
        "diagnostics": counted.diagnostics,
        "intervals": counted.intervals,
        "command": command,
        "provenance": dict(provenance),
        "usage": dict(usage or {}),
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _check(scores: ScoreFile, truth: GroundTruthFile, views: tuple[int, ...]) -> None:
    if scores.samples != truth.samples:
        raise InputError(
            f"{scores.path}: expected the {len(truth.samples)} test samples of {truth.path}, found "
            f"{len(scores)} others; delete it and run the workflow again"
        )
    if scores.image_scores.shape != views:
        raise InputError(
            f"{scores.path}: expected {views[1]} views a sample as in {truth.path}, found "
            f"{scores.image_scores.shape[1]}; delete it and run the workflow again"
        )


def _count_pixels(
    scores: ScoreFile, truth: GroundTruthFile, evaluation: Evaluation
) -> tuple[Counter, NDArray[np.float64]]:
    """Count all pixels, and take each sample's mean of the highest 1 % of them [N]."""
    strips = _find_strips(scores, truth.size, evaluation.strips)
    counter: Counter = AdevalCounter(strips) if evaluation.counter == "adeval" else StripCounter(strips)
    top1 = np.empty(len(scores))
    progress = Progress(logger, "counted the pixels of", len(scores), "samples")
    for index in range(len(scores)):
        sample = pixels(scores.map(index), scores.foreground(index), truth.size)
        counter.update(sample, truth.masks(index, evaluation.ground_truth_threshold))
        top1[index] = mean_of_highest(sample.ordered)
        progress.step()
    return counter, top1


def _find_strips(scores: ScoreFile, size: int, count: int) -> Strips:
    """Strips from the pixels of all samples, every so many of them where there are more than a few million."""
    step = math.ceil(scores.image_scores.size * size * size / _SCORES_FOR_STRIPS)
    while math.gcd(step, size) > 1:  # or they would all lie in a few columns
        step += 1
    found = []
    progress = Progress(logger, "read the scores of", len(scores), "samples")
    for index in range(len(scores)):
        sample = pixels(scores.map(index), scores.foreground(index), size)
        some = slice(index % step, None, step)
        values = sample.scores.ravel()[some]
        # A copy: a view would hold the whole sample in memory.
        found.append(values.copy() if sample.inside is None else values[sample.inside.ravel()[some]])
        progress.step()
    return find_strips(np.concatenate(found), count)


def _auroc_of_type(
    anomalous: NDArray[np.bool_], of_type: NDArray[np.bool_], scores: NDArray[np.floating]
) -> float | None:
    taken = of_type | ~anomalous
    return auroc(anomalous[taken], scores[taken])
