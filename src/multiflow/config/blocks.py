"""The blocks of the configuration that belong to no station."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from multiflow.base.settings import Block, ClassName, Heading, Name, Seed, Unique

__all__ = ["ExperimentEntry", "Keep", "Tables"]


class Keep(Block):
    """What stays on disk when nothing in the run needs it any more."""

    features: bool = Field(
        True,
        description="`false` deletes a class's features as soon as its last model is trained, its test samples are "
        "scored and drawn; a later experiment or seed extracts them again and trains the class's other models with "
        "them.",
    )
    models: bool = Field(
        True,
        description="`false` deletes a model as soon as it has scored the test samples; tables, figures and report "
        "don't need it, `make inspect` does, and another experiment that shares it trains it again. Seeds that are "
        "submitted together and fail are all trained again.",
    )
    scores: bool = Field(
        True,
        description="`false` deletes the anomaly maps of a run as soon as they are counted and drawn; other evaluation "
        "settings score again.",
    )


class Tables(Block):
    """What the tables show."""

    methods: Unique[Name] | None = Field(
        None,
        min_length=1,
        description="Experiments that are columns of Tables 1, 5, 6 and 7 and have figures of their own, in this "
        "order. Empty: the first experiment, and every one that names a method.",
    )


class ExperimentEntry(Block):
    """A named set of changes; all other keys are changes of its method's settings."""

    model_config = ConfigDict(extra="allow")

    method: str | None = Field(
        None,
        description="A name of `methods`, `package.module:Class` or `folder/file.py:Class`. Empty: the first of "
        "`methods`.",
    )
    base: Name | None = Field(
        None,
        description="Another experiment, whose method and changes come first; not its headings, seeds and classes.",
    )
    heading: Heading | None = Field(None, min_length=1, description="Its name in tables. Empty: its method's.")
    published_as: Heading | None = Field(
        None,
        min_length=1,
        description="The published column that its numbers are compared with. Empty: the one of its name in tables.",
    )
    seeds: Unique[Seed] | None = Field(
        None, min_length=1, description="Seeds of this experiment. Empty: the run's `seeds`."
    )
    classes: Unique[ClassName] | None = Field(
        None, min_length=1, description="Classes of this experiment. Empty: all of the data set."
    )
    foreground: dict[str, Any] = Field({}, description="Changes of the `foreground` block.")
    evaluation: dict[str, Any] = Field({}, description="Changes of the `evaluation` block.")
    compute: dict[str, Any] = Field({}, description="Changes of the `compute` block.")
    by_class: dict[ClassName, dict[str, Any]] = Field(
        {}, description="Changes of the method's settings that hold for one class."
    )
