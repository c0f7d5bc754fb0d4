"""One part through a trained model.

The path from pictures to scores is that of the stations, function by function: the score of a test sample's
pictures is the one that the evaluation gave them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from multiflow.base.devices import device_name, exact_float32, select_device
from multiflow.base.errors import InputError
from multiflow.base.provenance import file_sha256, git_revision, versions
from multiflow.base.settings import Block
from multiflow.config.problems import problem_lines
from multiflow.inspection.photographs import Assignment, Photograph, assign_cameras, check_count, load_photographs
from multiflow.inspection.reference import Reference, part_scores
from multiflow.inspection.rule import ScoringRule
from multiflow.inspection.run_files import RunFiles
from multiflow.inspection.sample import PhotographedSample
from multiflow.inspection.weights import find_weights
from multiflow.methods import load_method
from multiflow.methods.checks import checked_scorer
from multiflow.methods.contract import Method, Scores
from multiflow.methods.model import read_model
from multiflow.methods.recipe import Recipe
from multiflow.methods.score import background_scored
from multiflow.metrics.settings import Evaluation
from multiflow.scores import checked_scores

__all__ = ["Inspection", "inspect_part"]


@dataclass(frozen=True)
class Inspection:
    """What was found on one part.

    Args:
        recipe: how its pictures were prepared.
        photographs: its views, in the model's order.
        assignment: which picture is which view, and how that was found.
        source: the folder of the photographs, or the files where they were given one by one.
        scores: maps [V, h, w] in the orientation that the model sees, with image scores.
        inside: foreground [V, h, w]; all of it where the method has none.
        rule: whose settings made the scores, in words.
        evaluation: how the model's run makes a sample's score.
        reference: scores of the class's test parts, where there are any.
        provenance: what the scores came from.
    """

    recipe: Recipe
    photographs: list[Photograph]
    assignment: Assignment
    source: str | list[str]
    scores: Scores
    inside: NDArray[np.bool_]
    rule: str
    evaluation: Evaluation
    reference: Reference | None
    provenance: dict[str, Any]

    @property
    def maps(self) -> NDArray[np.float32]:
        """Anomaly maps [V, h, w]."""
        return self.scores.map

    @property
    def image_scores(self) -> NDArray[np.float32]:
        """Image scores [V]."""
        assert self.scores.image_score is not None  # checked scores have them
        return self.scores.image_score

    @cached_property
    def sample_scores(self) -> dict[str, float]:
        """The part's score by every rule."""
        return part_scores(self.scores, self.evaluation)

    def normal_below(self, view: int) -> str:
        """How many normal test views of the same camera have a lower score than this view, in words."""
        if self.reference is None:
            return "-"
        normal = self.reference.normal_views[view]
        return f"{int((normal < self.image_scores[view]).sum())} of {len(normal)}"

    def comparison(self) -> str:
        """Where the part's score lies among those of the test set, in words."""
        if self.reference is None:
            return "no scores of a test set to compare with"
        found = self.reference.describe(self.sample_scores[self.reference.rule])
        counts = [f"{found[kind]['lower']} of {found[kind]['parts']} {kind}" for kind in ("normal", "anomalous")]
        return f"higher than {' and '.join(counts)} parts of the test set; a comparison, no threshold"

    def photographed(self, values: NDArray[Any]) -> NDArray[Any]:
        """Maps [V, h, w] in the orientation of the photographs."""
        views = [view[:, ::-1] if item.view.flip else view for item, view in zip(self.photographs, values, strict=True)]
        return np.stack(views)

    def describe(self) -> dict[str, Any]:
        """Everything but the maps, as values that JSON can hold."""
        scores, reference = self.sample_scores, self.reference
        return {
            "class": self.recipe.class_name,
            "source": self.source,
            "sample_score": scores,
            "views": [
                {
                    "camera": item.view.camera,
                    "score": float(score),
                    "picture": str(item.path),
                    "sha256": file_sha256(item.path),
                    "width": item.picture.width,
                    "height": item.picture.height,
                    "mode": item.picture.mode,
                    "flip": item.view.flip,
                }
                for item, score in zip(self.photographs, self.image_scores, strict=True)
            ],
            "test_set": None if reference is None else reference.describe(scores[reference.rule]),
            "provenance": self.provenance,
        }


def inspect_part(
    model_path: Path,
    pictures: Path | Sequence[Path],
    weights: Path | None = None,
    threads: int | None = None,
    experiment: str | None = None,
) -> Inspection:
    """Score the photographs of one part.

    Args:
        model_path: a trained model of any method; its metadata say how its pictures are prepared.
        pictures: the folder with the photographs, or the files in the order of the model's cameras.
        weights: the folder with the weights of the networks that prepare the pictures; by default that of the run that
            the model lies in.
        threads: CPU threads; by default as many as the run used, with which the evaluation's scores are met to the
            last digit.
        experiment: the experiment of the model's run whose settings count, where several share the model; by default
            that in the model's path. Without scores of it in the run the model's own settings count.

    Raises:
        InputError: a file is missing or damaged, or does not fit the model.
    """
    stored = read_model(model_path)
    checksum, run = file_sha256(model_path), RunFiles.of_model(model_path)
    if run is not None and experiment is not None:
        run = run.of(experiment)
    rule = ScoringRule.of_run(run, model_path, checksum, experiment)
    method, settings = _method(model_path, stored.metadata, rule)
    recipe = rule.recipe(Recipe.read(model_path, stored.metadata)).with_threads(threads)
    source: str | list[str]
    if isinstance(pictures, Path):
        assignment, source = assign_cameras(pictures, recipe), str(pictures.resolve())
    else:
        check_count(pictures, recipe, "--views")
        assignment = Assignment(list(pictures), "assigned as given")
        source = [str(path.resolve()) for path in pictures]
    photographs = load_photographs(assignment, recipe)
    device = select_device("auto", "device")
    files = find_weights(recipe, model_path, weights)
    model = replace(stored, weights={network: files[network] for network in recipe.weights})
    key = photographs[0].path.absolute().parent.name
    sample = PhotographedSample(key, photographs, recipe, files, device)
    with exact_float32(recipe.threads), torch.inference_mode():
        found = checked_scorer(method.scorer(model, settings, device), str(model_path))(sample)
    scores = checked_scores(
        background_scored(found, rule.foreground(recipe)), len(photographs), None, f"{model_path}: part {key}"
    )
    inside = np.ones(scores.map.shape, bool) if found.foreground is None else found.foreground
    provenance = {
        "model": str(model_path.absolute()),
        "model_sha256": checksum,
        "method": model.metadata["method"],
        "experiment": None if run is None else run.experiment,
        "settings_from": str(rule.source),
        "settings": settings.model_dump(mode="json"),
        "recipe": recipe.metadata(),
        "device": device_name(device),
        "versions": versions(),
        "revision": git_revision(),
    }
    return Inspection(
        recipe=recipe,
        photographs=photographs,
        assignment=assignment,
        source=source,
        scores=scores,
        inside=inside,
        rule=rule.words,
        evaluation=Evaluation() if run is None else run.evaluation(),
        reference=None if run is None else Reference.of_run(run, checksum),
        provenance=provenance,
    )


def _method(model_path: Path, metadata: Mapping[str, Any], rule: ScoringRule) -> tuple[Method, Block]:
    """The method that a model names, and the settings with which it scores.

    Raises:
        InputError: the model names none, or one that is not there, or other settings than that method has.
    """
    if not isinstance(metadata.get("method"), str) or not isinstance(metadata.get("settings"), dict):
        raise InputError(
            f"{model_path}: expected a model that names its method and settings, found none; train the model again, or "
            "import its checkpoint again"
        )
    try:
        method = load_method(metadata["method"])
        return method, method.Settings.model_validate(rule.settings(metadata["settings"]))
    except InputError as error:
        raise InputError([f"{model_path}: {line}" for line in error.problems]) from None
    except ValidationError as error:
        lines = problem_lines(error, f"{model_path}: settings.")
        raise InputError([f"{line}; train the model again with this version" for line in lines]) from None
