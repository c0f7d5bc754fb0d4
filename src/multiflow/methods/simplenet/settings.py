"""The settings of SimpleNet: the block `methods.simplenet`, of which an experiment changes a few."""

from __future__ import annotations

from pydantic import Field

from multiflow.base.settings import NEUTRAL, Block
from multiflow.methods.patches.settings import PatchEncoder

__all__ = ["Settings", "Training"]


class Training(Block):
    """The training of adaptor and discriminator together, by Adam."""

    epochs: int = Field(160, ge=1, description="Passes over the training images.")
    image_batch: int = Field(
        4, ge=1, description="Images (of one view each) of a step; an incomplete last batch is kept."
    )
    noise: float = Field(
        0.015,
        gt=0,
        description="Standard deviation of the noise that makes an adapted feature anomalous. The paper's is for a "
        "WideResNet-50; a network whose features are larger needs more.",
    )
    margin: float = Field(
        0.5, gt=0, description="Output of the discriminator, or minus it, beyond which a feature costs nothing."
    )
    adaptor_rate: float = Field(1e-4, gt=0, description="Learning rate of the adaptor.")
    discriminator_rate: float = Field(2e-4, gt=0, description="Learning rate of the discriminator.")
    weight_decay: float = Field(1e-5, ge=0, description="Adam's weight decay (L2), of both.")
    checkpoint_every: int = Field(
        10,
        ge=1,
        description="Epochs between two checkpoints that a killed job resumes from.",
        json_schema_extra=NEUTRAL,
    )


class Settings(Block):
    """SimpleNet: adapted features of patches, and a discriminator that tells them from the same ones with noise."""

    image_size: int = Field(256, ge=64, le=4096, description="Side of the square input, px; also of the anomaly maps.")
    encoder: PatchEncoder = Field(
        PatchEncoder(), description="The network; its keys are those of `methods.softpatch.encoder`."
    )
    hidden: int = Field(1024, ge=1, description="Hidden units of the discriminator.")
    training: Training = Field(Training(), description="The training.")
