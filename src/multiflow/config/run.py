"""A run: its blocks and its grid of experiments, classes and seeds."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from multiflow.config.blocks import (
    Block,
    Dataset,
    Evaluation,
    Features,
    Flow,
    Foreground,
    Keep,
    Name,
    Seed,
    Training,
    Unique,
)
from multiflow.config.problems import problem_lines
from multiflow.published import published_classes
from multiflow.rendering.settings import Rendering

__all__ = ["Config", "Experiment", "Resolved", "resolve_experiment"]


class Experiment(Block):
    """A named set of overrides; a row of an ablation table is one of these."""

    flow: dict[str, Any] = Field({}, description="Overrides of the `flow` block.")
    foreground: dict[str, Any] = Field({}, description="Overrides of the `foreground` block.")
    training: dict[str, Any] = Field({}, description="Overrides of the `training` block.")
    evaluation: dict[str, Any] = Field({}, description="Overrides of the `evaluation` block.")
    method: Literal["multiflow"] = Field("multiflow", description="What writes the scores.")
    seeds: Unique[Seed] | None = Field(
        None, min_length=1, description="Seeds of this experiment. Empty: the run's `seeds`."
    )
    classes: Unique[Name] | None = Field(
        None, min_length=1, description="Classes of this experiment. Empty: all of the data set."
    )


class Config(Block):
    """A run: a data set, the stations' settings and a grid of experiments, classes and seeds."""

    run: Name = Field(description="Name of the run: everything is written below `results/<run>`.")
    dataset: Dataset = Field(description="The data set.")
    rendering: Rendering | None = Field(None, description="Render the data set instead of reading one (the demo).")
    features: Features = Field(Features(), description="The backbone.")
    foreground: Foreground = Field(Foreground(), description="The foreground masks.")
    flow: Flow = Field(Flow(), description="The flow.")
    training: Training = Field(Training(), description="The training.")
    evaluation: Evaluation = Field(Evaluation(), description="The evaluation.")
    keep: Keep = Field(Keep(), description="What stays on disk.")
    seeds: Unique[Seed] = Field([0, 1, 2, 3, 4], min_length=1, description="Seeds: one training each.")
    experiments: dict[Name, Experiment] = Field(
        min_length=1, description="Experiments by name. An overlay drops one by setting it to null."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        if (self.dataset.root is None) == (self.rendering is None):
            raise ValueError(
                "set exactly one of dataset.root (the folder of a data set) and rendering (parts to render); "
                f"found dataset.root: {self.dataset.root}, rendering: {'set' if self.rendering else 'empty'}"
            )
        if self.rendering is not None:
            self._check_rendering(self.rendering)
        if self.dataset.published is not None:
            self._check_published(self.dataset.published)
        for name in self.experiments:
            resolve_experiment(self, name)
        return self

    def _check_rendering(self, rendering: Rendering) -> None:
        """What is rendered has a layout of its own."""
        if self.dataset.published is not None:
            raise ValueError("dataset.published: published numbers never stand beside rendered parts; leave it empty")
        for key, found, expected in (
            ("image_folder", self.dataset.image_folder, f"realiad_{rendering.image_size}"),
            ("annotations", self.dataset.annotations, "realiad_jsons"),
        ):
            if found != expected:
                raise ValueError(
                    f"dataset.{key}: expected {expected} with rendering.image_size {rendering.image_size}, "
                    f"found {found}"
                )

    def _check_published(self, collection: str) -> None:
        """Published numbers stand beside the same data set and protocol only."""
        strangers = sorted(set(self.dataset.classes) - set(published_classes(collection)))
        for key, found, expected in (
            ("annotations", self.dataset.annotations, "realiad_jsons"),
            ("cameras", ", ".join(self.dataset.cameras), "C1, C2, C3, C4, C5"),
            ("classes", ", ".join(strangers) or "Real-IAD's", "Real-IAD's"),
        ):
            if found != expected:
                raise ValueError(
                    f"dataset.published: {collection} stands only beside the same data and protocol, with "
                    f"dataset.{key}: {expected}; found {found}; leave published empty"
                )

    def seeds_of(self, experiment: str) -> list[int]:
        """Seeds of an experiment, in the order of the configuration."""
        own = self.experiments[experiment].seeds
        return list(self.seeds if own is None else own)

    def classes_of(self, experiment: str) -> list[str]:
        """Classes of an experiment, in the order of the configuration."""
        own = self.experiments[experiment].classes
        return list(self.dataset.classes if own is None else own)


class Resolved(Block):
    """The blocks that one experiment runs with."""

    flow: Flow
    foreground: Foreground
    training: Training
    evaluation: Evaluation


def resolve_experiment(config: Config, name: str) -> Resolved:
    """Apply an experiment's overrides to the run's blocks.

    Raises:
        ValueError: an override names an unknown key, has a wrong value, or names a class that the run lacks.
    """
    experiment = config.experiments[name]
    unknown = sorted(set(config.classes_of(name)) - set(config.dataset.classes))
    if unknown:
        raise ValueError(f"experiments.{name}.classes: {', '.join(unknown)} not in dataset.classes")
    fixed = sorted(set(experiment.foreground) - {"method", "to_grid"})
    if fixed:
        raise ValueError(
            f"experiments.{name}.foreground.{fixed[0]}: an experiment can change method and to_grid; masks are made "
            "once per run and method, so set it in the run's foreground block"
        )
    blocks: dict[str, Any] = {}
    for block in ("flow", "foreground", "training", "evaluation"):
        base: Block = getattr(config, block)
        try:
            blocks[block] = type(base).model_validate(base.model_dump() | getattr(experiment, block))
        except ValidationError as error:
            raise ValueError("; ".join(problem_lines(error, f"experiments.{name}.{block}."))) from None
    return Resolved(**blocks)
