"""The settings of anomalib's models: the block `methods.anomalib`, of which an experiment changes a few."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from multiflow.base.errors import InputError
from multiflow.base.settings import NEUTRAL, Block
from multiflow.features.settings import Pretrained
from multiflow.methods.anomalib.catalog import checked_settings, network_parameter

__all__ = ["Network", "Settings", "Training"]


class Network(Pretrained):
    """The pretrained network that the model runs."""

    backbone: str = Field(
        "",
        description="timm model name with its tag; the model gets the name without it, the file holds the weights of "
        "the tag. Empty: what the model's settings name, or its default.",
    )


class Training(Block):
    """The training."""

    epochs: int | None = Field(
        None, ge=1, description="Passes over the training images. Empty for a model that says itself how many it takes."
    )
    batch_size: int = Field(32, ge=1, description="Images (of one view each) in a batch.")
    drop_last: bool = Field(False, description="Leave out a pass's incomplete last batch.")
    checkpoint_every: int = Field(
        5, ge=1, description="Epochs between two checkpoints that a killed job resumes from.", json_schema_extra=NEUTRAL
    )

    def check(self, images: int, place: str) -> None:
        """There must be one batch, however models take a smaller one.

        Raises:
            InputError: there are fewer images.
        """
        if images < self.batch_size:
            raise InputError(
                f"{place}: train: expected at least training.batch_size = {self.batch_size} images, found {images}; "
                "lower it"
            )


class Settings(Block):
    """A model of the library anomalib, trained by Lightning on single views."""

    model: str = Field("Patchcore", description="Its class in `anomalib.models`.")
    settings: dict[str, Any] = Field(
        {}, description="Its own settings, by the names of its class; an unknown one is a mistake that lists them."
    )
    image_size: int = Field(
        256, ge=32, le=4096, description="Side of the square input, px; also of most models' anomaly maps."
    )
    masks: bool = Field(
        False,
        description="Scores only where the experiment's `foreground` is, as for Multi-Flow. An image's score is then "
        "its masked map's maximum, since a model's own would see the background.",
    )
    network: Network = Field(Network(), description="The pretrained network.")
    training: Training = Field(Training(), description="The training.")

    @model_validator(mode="after")
    def _known(self) -> Settings:
        try:
            checked_settings(self.model, self.settings)
        except InputError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def networks(self) -> tuple[Pretrained, ...]:
        """The network whose weights are a file of the run; none where neither settings nor model name one."""
        name = self.network.backbone
        if not name and (parameter := network_parameter(self.model)) is not None:
            name = str(self.settings.get(*parameter))
        if not name:
            return ()
        return (Pretrained(backbone=name, weights=self.network.weights, weights_sha256=self.network.weights_sha256),)

    def arguments(self) -> dict[str, Any]:
        """What the model's class is called with, but for what this adapter decides."""
        values = checked_settings(self.model, self.settings)
        parameter = network_parameter(self.model)
        if self.network.backbone and parameter is not None:
            # Some models know their networks by the plain name only.
            values.setdefault(parameter[0], self.network.backbone.partition(".")[0])
        return values
