"""The settings of Multi-Flow: the block `methods.multiflow`, of which an experiment changes a few."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from multiflow.base.settings import ADDED, NEUTRAL, Block, Precision
from multiflow.methods.batches import count_batches
from multiflow.methods.multiflow.camera_graph import Connections

__all__ = ["Fusion", "Network", "Settings", "Training"]

Fusion = Literal["conv2d", "self_attention", "cross_view_attention"]
Beta = Annotated[float, Field(ge=0, lt=1)]


class Network(Block):
    """The flow's network, and the noise that is its condition (paper section 3.2 and 3.3)."""

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
    connections: Connections = Field(
        "both",
        description="Views that pass messages: with the top view, between ring neighbours, both, none (Table 2).",
    )
    fusion: Fusion = Field("conv2d", description="How a message is made (Table 3).")
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
    def _one_kernel_per_block(self) -> Network:
        if len(self.kernels) != self.blocks:
            raise ValueError(
                f"kernels has {len(self.kernels)} entries, blocks is {self.blocks}: give one kernel per block"
            )
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"kernels {self.kernels} must be odd and positive")
        if self.hidden % self.attention_heads:
            raise ValueError(f"attention_heads {self.attention_heads} must divide hidden, {self.hidden}")
        return self

    def condition_channels(self, channels: int) -> int:
        """Channels of the condition that an st-network reads, of features with so many; 0 without a condition."""
        if self.noise == "none":
            return 0
        return channels if self.noise_shape == "features" else 1


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
        10,
        ge=1,
        description="Epochs between two checkpoints that a killed job resumes from.",
        json_schema_extra=NEUTRAL,
    )
    amp: bool = Field(False, description="Automatic mixed precision (bfloat16).")
    tf32: bool = Field(
        True,
        description="Convolve in TF32 where the GPU has it, as the released code does by PyTorch's default; else in "
        "full float32. A CPU never does.",
    )
    draw_noise: Literal["cpu", "device"] = Field(
        "cpu",
        description="Where noise is drawn: on the `cpu`, the same on every device, or on the `device` that trains, "
        "which has random numbers of its own but waits for no copy. On a CPU both are the same.",
        json_schema_extra=ADDED,
    )
    compile: bool = Field(
        False,
        description="`torch.compile` the flow; needs a C++ compiler and Python's headers on the machine.",
        json_schema_extra=NEUTRAL,
    )

    @property
    def precision(self) -> Precision:
        """In what most of it is computed on a GPU."""
        return "bfloat16" if self.amp else "tf32" if self.tf32 else "float32"

    def batches(self, samples: int, place: str) -> int:
        """Steps of an epoch; see :func:`multiflow.methods.batches.count_batches`."""
        return count_batches(samples, self.batch_size, self.drop_last, "batch_size", "samples", place)


class Settings(Block):
    """Multi-Flow: a normalizing flow over the features of all views, which pass messages to each other."""

    features: str = Field("b5", description="The set of features, by its name in the run's `features` block.")
    scaling: Literal["none", "constant", "standardize"] = Field(
        "none",
        description="What the flow sees: the features as they are, times `scale`, or standardised per channel "
        "with mean and std of the class's training set.",
    )
    scale: float = Field(1.0, gt=0, description="Factor of `scaling: constant`.")
    network: Network = Field(Network(), description="The network.")
    training: Training = Field(Training(), description="The training.")
