"""The settings of CFLOW-AD: the block `methods.cflow`, of which an experiment changes a few."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from multiflow.base.settings import NEUTRAL, SCORING, Block, Unique
from multiflow.features.settings import Pretrained
from multiflow.methods.batches import count_batches

__all__ = ["Decoder", "Encoder", "Settings", "Training"]


class Encoder(Pretrained):
    """The frozen network whose feature levels the decoders see."""

    backbone: str = Field(
        "wide_resnet50_2.tv_in1k",
        description="timm model name with its tag; `tv_in1k` are the weights of the released code, which timm doesn't "
        "take by default.",
    )
    levels: Unique[int] = Field(
        [-3, -2, -1],
        min_length=1,
        description="Feature levels with a decoder each, in the order in which they are trained: indices into those "
        "that timm names, from 0, or negative from the deepest. Strides 8, 16 and 32 of a ResNet by default.",
    )
    padding: Literal["reflect", "zeros"] = Field(
        "reflect",
        description="Padding of all padded convolutions: `reflect` as the released code pads its ResNets, with the "
        "weights as they are, or the network's own `zeros`.",
    )


class Decoder(Block):
    """The flow of one level, over the channels of one pixel."""

    blocks: int = Field(8, ge=1, description="Coupling blocks.")
    condition: int = Field(
        128,
        ge=0,
        multiple_of=4,
        description="Channels of the position code that is the condition; 0: none (the released code's `freia-flow`).",
    )
    clamp: float = Field(1.9, gt=0, description="Clamp alpha of the scale.")


class Training(Block):
    """The training of all decoders together."""

    meta_epochs: int = Field(25, ge=1, description="Meta-epochs; the learning rate follows a cosine over them.")
    sub_epochs: int = Field(8, ge=1, description="Passes over the training images in a meta-epoch.")
    image_batch: int = Field(32, ge=1, description="Images (of one view each) whose pixels are shuffled together.")
    drop_last: bool = Field(True, description="Leave out a pass's incomplete last batch of images.")
    fibre_batch: int = Field(
        256,
        ge=1,
        description="Pixels of a level in a step of the optimizer.",
    )
    drop_last_fibres: bool = Field(
        True, description="Leave out the pixels of a level that are left over in a batch of images."
    )
    learning_rate: float = Field(2e-4, gt=0, description="Adam's learning rate.")
    final_share: float = Field(
        1e-3, ge=0, le=1, description="Share of the learning rate at which the cosine would end."
    )
    warm_up_epochs: int = Field(
        2,
        ge=0,
        description="First meta-epochs, in which the rate rises linearly from batch to batch to where the cosine then "
        "is, which is next to nothing where there are no more `meta_epochs` than these; 0: none.",
    )
    warm_up_share: float = Field(0.1, gt=0, le=1, description="Share of the learning rate with which the rise begins.")
    coasting: bool = Field(
        False,
        description="Also move the decoders that a step doesn't train, by Adam's momentum: what the released code did "
        "under PyTorch 1, whose `zero_grad` left zeros.",
    )
    rotation: float = Field(5.0, ge=0, le=180, description="Training images are turned by up to so many degrees.")
    rotation_fill: Literal["black", "mean"] = Field(
        "black",
        description="Corners of a turned image: `black` as in the released code, which trains on black wedges, or the "
        "`mean` colour of the encoder's own training images.",
    )
    tf32: bool = Field(
        False,
        description="Compute in TF32 where the GPU has it, as PyTorch 1.8 did by default; else in full float32. A CPU "
        "never does.",
    )
    checkpoint_every: int = Field(
        8, ge=1, description="Passes between two checkpoints that a killed job resumes from.", json_schema_extra=NEUTRAL
    )

    @property
    def passes(self) -> int:
        """Passes over the training images."""
        return self.meta_epochs * self.sub_epochs

    def batches(self, images: int, place: str) -> int:
        """Batches of images in a pass; see :func:`multiflow.methods.batches.count_batches`."""
        return count_batches(images, self.image_batch, self.drop_last, "image_batch", "images", place)


class Settings(Block):
    """CFLOW-AD: a conditional flow for each level of a frozen encoder, over the channels of single pixels."""

    image_size: int = Field(
        256,
        ge=32,
        le=4096,
        description="Side of the square input, px; also of the anomaly maps. The released code has 256, 512 or 128 by "
        "class of MVTec AD: set it in `by_class`.",
    )
    resampling: Literal["lanczos", "bilinear"] = Field(
        "lanczos", description="How pictures are brought to that size, antialiased: `lanczos` in the released code."
    )
    maximum: Literal["train", "test"] = Field(
        "train",
        description="Images over which a level's highest log-likelihood is taken, by which levels are weighted: "
        "`train`, so that no score depends on another test image, or, as in the released code, `test`.",
        json_schema_extra=SCORING,
    )
    score: Literal["logarithm", "difference"] = Field(
        "logarithm",
        description="From the sum of the levels' likelihoods, each divided by its highest, to a score: minus its "
        "`logarithm`, or the `difference` to the highest sum, as in the released code. Both rank alike; in float32, "
        "as scores are stored, the differences of all unlikely pixels are equal.",
        json_schema_extra=SCORING,
    )
    encoder: Encoder = Field(Encoder(), description="The encoder.")
    decoder: Decoder = Field(Decoder(), description="The decoders.")
    training: Training = Field(Training(), description="The training.")
