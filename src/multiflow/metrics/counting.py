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
from multiflow.datasets.masks import BORDER_COVERED, covers_border
from multiflow.metrics.adeval_counter import AdevalCounter
from multiflow.metrics.intervals import Interval, auroc_interval
from multiflow.metrics.linear_aupro import LinearCounter
from multiflow.metrics.pixel import Counter, StripCounter, fraction, pixel_metrics
from multiflow.metrics.ranking import auroc, average_precision, f1_max, mean_of_highest, sample_labels, sample_scores
from multiflow.metrics.selection import best_on_test
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
        doubts: how often there is what to doubt about the ground truth, in words that a footnote repeats.
        selected: the stage of the training that each metric was chosen from; empty where the last one counts.
        intervals: 95 % confidence intervals over the test samples, by metric; None where there is none.
    """

    metrics: dict[str, float | None]
    diagnostics: dict[str, float]
    doubts: dict[str, int]
    selected: dict[str, str] = field(default_factory=dict)
    intervals: dict[str, Interval | None] = field(default_factory=dict)


def count_metrics(scores: ScoreFile, truth: GroundTruthFile, evaluation: Evaluation) -> Counted:
    """All metrics of one class and seed.

    Image and sample metrics are exact. For pixel metrics the maps are upsampled bilinearly to the size of the ground
    truth and counted in strips, in two passes: the first finds the strips from an even subset of all pixels. Memory
    doesn't grow with the number of samples. Where the scores have a foreground, pixels outside of it rank below all
    others: a defect there is missed. Of a view of which it is not known where it is anomalous, no pixel is counted.

    Of a type of defect, the anomalous samples (views) of that type are ranked among all normal ones; a sample's types
    are those of its anomalous views.

    With ``evaluation.select: best_on_test`` all of this is done for each stage of the training, and the best value of
    each metric counts.

    Raises:
        InputError: the scores are not those of these samples, or there are none of earlier stages to select among.
    """
    last = _count_stage(scores, truth, evaluation)
    if evaluation.select == "last":
        return last
    if not scores.stages:
        raise InputError(
            f"{scores.path}: expected scores of several stages of the training for evaluation.select: "
            f"{evaluation.select}, found those of the last; train again, or set it to last"
        )
    counted = {}
    for index, name in enumerate(scores.stages):
        with ScoreFile(scores.path, index) as earlier:
            counted[name] = _count_stage(earlier, truth, evaluation)
    counted["last"] = last
    metrics, selected = best_on_test({name: stage.metrics for name, stage in counted.items()})
    intervals = {
        name: counted[selected[name]].intervals.get(name) if name in selected else None for name in last.intervals
    }
    return Counted(metrics, last.diagnostics, last.doubts, selected, intervals)


def _count_stage(scores: ScoreFile, truth: GroundTruthFile, evaluation: Evaluation) -> Counted:
    """All metrics by one model's scores."""
    labels, types = truth.labels.astype(bool), np.array(truth.anomaly_classes, dtype=object)
    _check(scores, truth, labels.shape)
    counter, linear, top1, doubts = _count_pixels(scores, truth, evaluation)
    image_scores = scores.image_scores
    by_rule = {**sample_scores(image_scores), "top1": top1}
    anomalous = sample_labels(labels)
    chosen = by_rule[evaluation.sample_score]
    pixel = pixel_metrics(counter.counts, evaluation.false_positive_limit)
    metrics = {
        "sample_auroc": auroc(anomalous, chosen),
        "image_auroc": auroc(labels.ravel(), image_scores.ravel()),
        "pixel_auroc": pixel.auroc,
        "aupro": pixel.aupro if linear is None else _at_most_one(linear.aupro(evaluation.false_positive_limit)),
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
    checked = {name: None if value is None else fraction(value) for name, value in metrics.items()}
    return Counted(checked, {"views_at_zero": float((image_scores == 0).mean())}, doubts, intervals=intervals)


def write_metrics(
    path: Path,
    experiment: str,
    class_name: str,
    seed: int,
    counted: Counted,
    command: str,
    provenance: Mapping[str, Any],
    doubts: Mapping[str, int] | None = None,
    usage: Mapping[str, Any] | None = None,
) -> None:
    """Write a run's JSON.

    Args:
        path: the file.
        experiment, class_name, seed: which run it is.
        counted: its metrics, diagnostics and intervals.
        command: the one that makes these numbers again.
        provenance: all that they came from.
        doubts: what there is to doubt about the class's data, beside what was found in counting.
        usage: what the scoring took.
    """
    record: dict[str, Any] = {
        "experiment": experiment,
        "class": class_name,
        "seed": seed,
        "metrics": counted.metrics,
        "diagnostics": counted.diagnostics,
        "intervals": counted.intervals,
        "doubts": {**(doubts or {}), **counted.doubts},
        "command": command,
        "provenance": dict(provenance),
        "usage": dict(usage or {}),
    }
    if counted.selected:
        record["selected"] = counted.selected
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
) -> tuple[Counter, LinearCounter | None, NDArray[np.float64], dict[str, int]]:
    """Count all pixels, also at evenly spaced thresholds if asked to.

    Beside the counters each sample's mean of the highest 1 % of its pixels [N], and how many anomalous views have no
    anomalous pixel, or no other, or no other at their border.
    """
    (strips, ends), seen = _find_strips(scores, truth.size, evaluation.strips), truth.located
    counter: Counter = AdevalCounter(strips) if evaluation.counter == "adeval" else StripCounter(strips)
    linear = LinearCounter(*ends) if evaluation.aupro == "linear" else None
    labels, threshold = truth.labels.astype(bool), evaluation.ground_truth_threshold
    blank = full = framed = 0
    top1 = np.empty(len(scores))
    progress = Progress(logger, "counted the pixels of", len(scores), "samples")
    for index in range(len(scores)):
        sample = pixels(scores.map(index), scores.foreground(index), truth.size)
        if (views := seen[index]).any():
            masks, located = truth.masks(index, threshold)[views], sample.of_views(views)
            anomalous = labels[index][views]
            blank += int((anomalous & ~masks.any(axis=(1, 2))).sum())
            whole = masks.all(axis=(1, 2))
            full += int((anomalous & whole).sum())
            framed += int((anomalous & ~whole & covers_border(masks)).sum())
            counter.update(located, masks)
            if linear is not None:
                linear.update(located, masks)
        top1[index] = mean_of_highest(sample.ordered)
        progress.step()
    doubts = {
        f"an anomalous view has no pixel above grey value {threshold} at the evaluation's size": blank,
        "the mask of an anomalous view covers all of it": full,
        f"the mask of an anomalous view {BORDER_COVERED}": framed,
    }
    return counter, linear, top1, {what: count for what, count in doubts.items() if count}


def _at_most_one(aupro: float | None) -> float | None:
    if aupro is not None and aupro > 1 + 1e-9:
        logger.warning("AUPRO is %.4f, since holes of regions count as found; 1 is stored", aupro)
        return 1.0
    return aupro


def _find_strips(scores: ScoreFile, size: int, count: int) -> tuple[Strips, tuple[float, float]]:
    """Strips from the pixels of all samples, every so many of them where there are more than a few million.

    Beside them the lowest and the highest of all scores.
    """
    step = math.ceil(scores.image_scores.size * size * size / _SCORES_FOR_STRIPS)
    while math.gcd(step, size) > 1:  # or they would all lie in a few columns
        step += 1
    found, lowest, highest = [], math.inf, -math.inf
    progress = Progress(logger, "read the scores of", len(scores), "samples")
    for index in range(len(scores)):
        sample = pixels(scores.map(index), scores.foreground(index), size)
        some = slice(index % step, None, step)
        values = sample.scores.ravel()[some]
        # A copy: a view would hold the whole sample in memory.
        found.append(values.copy() if sample.inside is None else values[sample.inside.ravel()[some]])
        inside = True if sample.inside is None else sample.inside
        lowest = min(lowest, float(sample.scores.min(initial=np.inf, where=inside)))
        highest = max(highest, float(sample.scores.max(initial=-np.inf, where=inside)))
        progress.step()
    return find_strips(np.concatenate(found), count), (lowest, highest)


def _auroc_of_type(
    anomalous: NDArray[np.bool_], of_type: NDArray[np.bool_], scores: NDArray[np.floating]
) -> float | None:
    taken = of_type | ~anomalous
    return auroc(anomalous[taken], scores[taken])
