"""The settings of AD-CLSCNFs: the block `methods.clscnf`, of which an experiment changes a few."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field, NonNegativeFloat, model_validator

from multiflow.base.paths import PathText
from multiflow.base.settings import NEUTRAL, SCORING, Block
from multiflow.methods.cflow.settings import Decoder, Encoder, Training

__all__ = [
    "Classifier",
    "FlowTraining",
    "Flows",
    "ObjectMask",
    "Settings",
    "SoftLabel",
    "Synthesis",
    "TunedEncoder",
    "Tuning",
]

SoftLabel: TypeAlias = Literal["signed", "absolute"]


class ObjectMask(Block):
    """Where on a picture synthetic defects may be."""

    source: Literal["foreground", "brightness", "none"] = Field(
        "foreground",
        description="`foreground`: the experiment's (everything, where it segments nothing); `brightness`: Otsu's "
        "threshold, as in the released code; `none`: everywhere, as there for textures. A picture without any object "
        "gets its defects everywhere.",
    )
    bright: bool = Field(False, description="With `brightness`: the part is brighter than its background.")
    filled: bool = Field(True, description="With `brightness`: holes belong to the part.")


class Synthesis(Block):
    """How synthetic defects are made of normal pictures."""

    textures: Literal["dtd", "in_domain", "package"] = Field(
        "dtd",
        description="What defects are made of beside normal pictures of the class: all pictures below "
        "`texture_folder` (`dtd`, the Describable Textures Dataset in the released code), nothing else (`in_domain`), "
        "or the textures that scikit-image ships (`package`).",
    )
    texture_folder: PathText = Field(
        "data/dtd",
        description="Folder of the textures of `dtd`; it is only read. After a change of its pictures, `--forcerun "
        "train_model` (`train_seeds` where seeds share a job); another folder trains again, since nobody says whether "
        "its pictures are the same.",
    )
    in_domain_share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="Share of the defects that are made of a normal picture of the class, which can be the same one, "
        "where there are textures.",
    )
    share: float = Field(1.0, ge=0, le=1, description="Share of the drawn pictures that get a defect.")
    transparency: float = Field(
        0.8, ge=0, le=1, description="Largest share of the normal picture inside of a defect; it is drawn uniformly."
    )
    soft_label: SoftLabel = Field(
        "signed",
        description="Label of a defect, by how much its pixels differ: `signed` as in the released code, where what is "
        "darker than the part is trained towards normal, or `absolute`.",
    )
    objects: ObjectMask = Field(ObjectMask(), description="Where defects may be.")


class Classifier(Block):
    """The network that tells defects from normal pixels: the encoder, and a decoder with skip connections."""

    decoder: Literal["auto", "basic", "bottleneck"] = Field(
        "auto",
        description="Blocks of the decoder: `basic` as the released code has for a ResNet-18, `bottleneck` as for a "
        "WideResNet-50, or by the backbone (`auto`): `basic` for all but the latter.",
    )


class Tuning(Block):
    """The first stage: the classifier is trained on synthetic defects, at last together with its encoder."""

    frozen_epochs: int = Field(85, ge=0, description="First meta-epochs, in which the decoder alone is trained.")
    tuned_epochs: int = Field(15, ge=0, description="Last meta-epochs, in which the encoder is trained, too.")
    sub_epochs: int = Field(2, ge=1, description="Passes in a meta-epoch.")
    repeats: int = Field(
        5, ge=1, description="Times that every training image is drawn in a pass, with another defect each time."
    )
    image_batch: int = Field(32, ge=1, description="Images of a step; an incomplete last batch is kept.")
    learning_rate: float = Field(1e-4, gt=0, description="Adam's learning rate; it falls by a cosine, per meta-epoch.")
    final_share: float = Field(
        1e-3, ge=0, le=1, description="Share of the learning rate at which the cosine would end."
    )
    weight_decay: float = Field(1e-4, ge=0, description="Adam's weight decay (L2).")
    checkpoint_every: int = Field(
        2, ge=1, description="Passes between two checkpoints that a killed job resumes from.", json_schema_extra=NEUTRAL
    )

    @property
    def epochs(self) -> int:
        """Meta-epochs."""
        return self.frozen_epochs + self.tuned_epochs

    @property
    def passes(self) -> int:
        """Passes."""
        return self.epochs * self.sub_epochs


class Flows(Decoder):
    """The flow of one level, which is CFLOW-AD's."""

    blocks: int = Field(6, ge=1, description="Coupling blocks.")


class FlowTraining(Training):
    """The second stage: CFLOW-AD's training of the flows, on the frozen encoder."""

    drop_last: bool = Field(False, description="Leave out a pass's incomplete last batch of images.")
    drop_last_fibres: bool = Field(
        False, description="Leave out the pixels of a level that are left over in a batch of images."
    )
    rotation: float = Field(0.0, ge=0, le=180, description="Training images are turned by up to so many degrees.")


class TunedEncoder(Encoder):
    """The pretrained network, which the classifier tunes and the flows leave as it is."""


class Settings(Block):
    """AD-CLSCNFs: a classifier of synthetic defects tunes an encoder, on whose levels flows are trained."""

    image_size: int = Field(
        256, ge=64, le=4096, multiple_of=32, description="Side of the square input, px; also of the anomaly maps."
    )
    score: Literal["joint", "classifier", "flows"] = Field(
        "joint",
        description="What scores: flows and classifier together, or one of them alone.",
        json_schema_extra=SCORING,
    )
    weight: NonNegativeFloat | Literal["synthetic"] = Field(
        "synthetic",
        description="Of the classifier in the joint score. `synthetic`: of 0.05, 0.1, ... 1 the one with the highest "
        "pixel AUPR on synthetic defects of the training images. The released code has a number by class of which "
        "nobody says how it was found; set it in `by_class`.",
        json_schema_extra=SCORING,
    )
    weight_images: int = Field(
        100,
        ge=2,
        description="Training images at most by which the weight is chosen; every second one gets a defect. Where they "
        "have more than 8 million pixels, rows and columns are left out evenly.",
    )
    shared_encoder: bool = Field(
        True, description="Flows on the tuned encoder; else on the pretrained one, as a baseline."
    )
    encoder: TunedEncoder = Field(TunedEncoder(), description="The encoder; its levels have strides 8, 16 and 32.")
    synthesis: Synthesis = Field(Synthesis(), description="The synthetic defects.")
    classifier: Classifier = Field(Classifier(), description="The classifier.")
    tuning: Tuning = Field(Tuning(), description="The first stage.")
    flows: Flows = Field(Flows(), description="The flows.")
    training: FlowTraining = Field(FlowTraining(), description="The second stage.")

    @model_validator(mode="after")
    def _classifier_is_trained(self) -> Settings:
        if self.score != "flows" and self.tuning.epochs == 0:
            raise ValueError(
                f"tuning: expected at least one epoch with score: {self.score}, found none; raise frozen_epochs or "
                "tuned_epochs, or set score: flows"
            )
        return self
