"""The test samples of a class scored by any method's model, each alone, so that no score depends on the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from multiflow.base.devices import device_name, exact_float32, select_device
from multiflow.base.errors import InputError
from multiflow.base.provenance import file_sha256
from multiflow.foreground.settings import Foreground
from multiflow.methods.checks import checked_scorer
from multiflow.methods.contract import Scores
from multiflow.methods.data import ClassFiles
from multiflow.methods.model import read_metadata, read_model
from multiflow.scores import write_scores

if TYPE_CHECKING:
    from multiflow.methods.contract import Sample
    from multiflow.methods.experiment import Experiment

__all__ = ["background_scored", "score_samples"]

logger = logging.getLogger(__name__)


def score_samples(
    experiment: Experiment, files: ClassFiles, model_path: Path, output: Path, provenance: Mapping[str, Any]
) -> None:
    """Score a class's test samples with a trained model, and with those of earlier stages that its file holds.

    Args:
        experiment: method and settings, for this class.
        files: the class's files.
        model_path: the model.
        output: the scores file, see :func:`multiflow.scores.write_scores`; it appears when it is complete.
        provenance: what the scores came from; the settings that decide them, device, threads and checksums of model
            and pictures are added.

    Raises:
        InputError: the model is damaged or was trained on other pictures or weights, or the method gives no scorer,
            scores of another shape or such that are not finite.
    """
    compute = experiment.compute
    device = select_device(compute.device, "compute.device")
    metadata = read_metadata(model_path)
    pictures, trained_on = files.pictures_sha256(), metadata.get("pictures_sha256")
    if trained_on is not None and trained_on != pictures:
        raise InputError(
            f"{model_path}: expected a model of the pictures in {files.samples}, found one of others: they have "
            "changed since it was trained; delete it and start again"
        )
    weights = files.weights_sha256()
    for network, checksum in ((metadata.get("recipe") or {}).get("weights") or {}).items():
        if weights.get(network) != checksum:
            raise InputError(
                f"{model_path}: expected a model of the weights in {files.weights.get(network)}, found one of "
                f"others of {network}: they have changed since it was trained; delete it and start again"
            )
    samples = files.split("test")
    place = f"{experiment.name} on {files.class_name}"

    def scorer_of(stage: str | None = None) -> Callable[[int], Scores]:
        model = replace(read_model(model_path, stage), weights=files.weights)
        scorer = checked_scorer(experiment.method.scorer(model, experiment.settings, device), place)
        if (survey := getattr(scorer, "survey", None)) is not None:
            survey(samples)
        source: Iterator[Sample] = iter(samples)
        return lambda index: background_scored(scorer(next(source)), experiment.foreground)

    with exact_float32(compute.threads), torch.inference_mode():
        write_scores(
            output,
            samples.keys,
            len(samples.cameras),
            scorer_of(),
            {
                **provenance,
                "scoring": experiment.scoring_values(),
                "background": experiment.foreground.background,
                "device": device_name(device),
                "threads": compute.threads,
                "training_threads": metadata.get("threads"),
                "model_sha256": file_sha256(model_path),
                "pictures_sha256": pictures,
                "weights_sha256": weights,
            },
            place,
            ((stage, scorer_of(stage)) for stage in metadata.get("stages", ())),
        )


def background_scored(scores: Scores, foreground: Foreground) -> Scores:
    """Scores whose background is what the configuration says: exactly 0, or without any score.

    Args:
        scores: as the method gave them; what the contract does not allow is left as it is, for
            :func:`multiflow.scores.checked_scores` to refuse.
        foreground: says what the background is.
    """
    if not isinstance(scores, Scores) or scores.foreground is None or foreground.background == "ignored":
        return scores
    values, inside = scores.map, scores.foreground
    if not (isinstance(values, np.ndarray) and isinstance(inside, np.ndarray)) or inside.shape != values.shape:
        return scores
    if inside.dtype != np.bool_ or not np.issubdtype(values.dtype, np.floating):
        return scores
    return Scores(np.where(inside, values, np.float32(0)), scores.image_score)
