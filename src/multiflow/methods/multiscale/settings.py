"""The settings of Multi-Scale Multi-Flow: the block `methods.multiscale`, of which an experiment changes a few."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from multiflow.base.settings import SCORING, Block, Name
from multiflow.methods.multiflow.settings import Network, Training

__all__ = ["Level", "Settings"]


class Level(Block):
    """One scale: a set of features, and what its flow serves."""

    channels: int | None = Field(
        None,
        ge=2,
        description="Channels that its flow sees: the principal components in which normal features vary least, "
        "whitened. Empty: all components.",
    )
    detection: bool = Field(True, description="Whether its map is part of the image score.", json_schema_extra=SCORING)
    localization: bool = Field(
        True, description="Whether its map is part of the anomaly map.", json_schema_extra=SCORING
    )


class Settings(Block):
    """Multi-Scale Multi-Flow: a Multi-Flow on features of each of several scales, whose calibrated maps are added."""

    levels: dict[Name, Level] = Field(
        {"b5_fine": Level(channels=64), "b5": Level(channels=152)},
        min_length=1,
        description="Levels by the name of their set in the run's `features` block, from the finest to the coarsest.",
    )
    network: Network = Field(Network(), description="The network of each level's flow, as `methods.multiflow.network`.")
    training: Training = Field(
        Training(), description="The training of each level's flow, as `methods.multiflow.training`."
    )
    calibration: Literal["standardize", "none"] = Field(
        "standardize",
        description="How the levels' maps are brought to one scale before they are added: `standardize` by the mean "
        "and std of the training set's foreground scores of the level and view, or not at all.",
        json_schema_extra=SCORING,
    )
    map_size: int = Field(
        192,
        ge=8,
        le=1024,
        description="Side of the anomaly map, px, to which the levels' maps are brought bilinearly; the foreground is "
        "that of this grid, not of a level's coarser one.",
        json_schema_extra=SCORING,
    )

    @model_validator(mode="after")
    def _both_served(self) -> Settings:
        for purpose, levels in (("detection", self.detection), ("localization", self.localization)):
            if not levels:
                raise ValueError(
                    f"levels: none serves {purpose}; set {purpose}: true for one of {', '.join(self.levels)}"
                )
        return self

    @property
    def detection(self) -> tuple[str, ...]:
        """Names of the levels that serve detection."""
        return tuple(name for name, level in self.levels.items() if level.detection)

    @property
    def localization(self) -> tuple[str, ...]:
        """Names of the levels that serve localisation."""
        return tuple(name for name, level in self.levels.items() if level.localization)
