"""From a trained flow to scores, and from scores to metrics (paper section 3.5 and 4.2)."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from multiflow import config
from multiflow.devices import device_name, select_device
from multiflow.errors import InputError
from multiflow.flow_input import FlowInput
from multiflow.metrics import PixelMetrics, ScoreQuantiles, auroc, sample_labels, upsample
from multiflow.scores import ScoreFile, write_scores
from multiflow.scoring import FlowScorer
from multiflow.store import FeatureFile, atomic_path

__all__ = ["compute_metrics", "score_flow", "write_metrics"]

logger = logging.getLogger(__name__)

_PROGRESS_SECONDS = 5.0


def score_flow(
    data: FlowInput, flow_path: Path, training: config.Training, output: Path, provenance: Mapping[str, Any]
) -> str:
    """Score a class's test samples with a trained flow, each alone, so that no score depends on the others.

    Returns:
        The device that computed.

    Raises:
        InputError: the flow was trained on other channels or another number of views.
    """
    device = select_device(training.device, "training.device")
    scorer = FlowScorer(flow_path, device, training.threads)
    scorer.check(data.features.path, len(data.features.cameras), data.features.channels)
    name = device_name(device)
    write_scores(output, data, lambda index: scorer(*data.sample("test", index)), {**provenance, "device": name})
    return name


def compute_metrics(scores: ScoreFile, features: FeatureFile, evaluation: config.Evaluation) -> dict[str, float | None]:
    """All metrics of one class and seed, as fractions; None where a metric is undefined.

    Image and sample AUROC are exact. Pixel AUROC and AUPRO stream the maps, upsampled bilinearly to the size of
    the stored ground truth, through ADEval, in two passes: the first finds the edges of its strips. Memory does
    not grow with the number of images (see :class:`PixelMetrics` and :class:`ScoreQuantiles`).

    The maps are upsampled on the CPU whatever ``evaluation.device`` is: CPU and GPU then count the same.

    Raises:
        InputError: the scores are not those of these features, or there is no such device.
    """
    labels = scores.labels
    by_rule = {kind: auroc(sample_labels(labels), scores.sample_scores(kind)) for kind in ("max", "mean")}
    test = features.split("test")
    if test.samples != scores.samples:
        raise InputError(
            f"{scores.path}: expected the test samples of {features.path}, found others; "
            "delete it and run the workflow again"
        )
    device = select_device(evaluation.device, "evaluation.device")
    size = features.shape("test/ground_truth")[-1]

    def maps() -> Iterator[tuple[int, Tensor]]:
        started = shown = time.monotonic()
        for index in range(len(scores)):
            yield index, upsample(torch.from_numpy(scores.map(index)), size)
            now = time.monotonic()
            if now - shown >= _PROGRESS_SECONDS:
                left = (now - started) / (index + 1) * (len(scores) - index - 1)
                logger.info("pixel scores of %d of %d samples, %.0f s left", index + 1, len(scores), left)
                shown = now

    quantiles = ScoreQuantiles()
    for _, values in maps():
        quantiles.update(values.numpy())
    pixels = PixelMetrics(quantiles, evaluation.strips, evaluation.false_positive_limit, device)
    for index, values in maps():
        for view, truth in zip(values, test.ground_truth(index), strict=True):
            pixels.update(view, truth)
    result = pixels.result()
    return {
        "sample_auroc": by_rule[evaluation.sample_score],
        "sample_auroc_max": by_rule["max"],
        "sample_auroc_mean": by_rule["mean"],
        "image_auroc": auroc(labels.ravel(), scores.image_scores.ravel()),
        "pixel_auroc": result.auroc,
        "aupro": result.aupro,
    }


def write_metrics(
    path: Path,
    experiment: str,
    class_name: str,
    seed: int,
    metrics: Mapping[str, float | None],
    provenance: Mapping[str, Any],
) -> None:
    """Write a run's JSON: its metrics and everything they came from."""
    record = {
        "experiment": experiment,
        "class": class_name,
        "seed": seed,
        "metrics": dict(metrics),
        "provenance": dict(provenance),
    }
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n", encoding="utf-8")
