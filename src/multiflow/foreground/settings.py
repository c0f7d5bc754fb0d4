"""The `segmentation` and `foreground` blocks: how pictures are segmented, and what is made of it where it is read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from multiflow.base.paths import PathText
from multiflow.base.settings import ADDED, NEUTRAL, SCORING, Block, Sha256, deciding

__all__ = ["NETWORKS", "Foreground", "Segmentation"]

NETWORKS: dict[str, str | None] = {"threshold": None, "mvanet": "mvanet"}
"""The pretrained network that each method of segmentation runs, if any."""


class Segmentation(Block):
    """How images are segmented, once per run and method of segmentation (paper section 3.4)."""

    image_size: int = Field(1024, ge=32, le=4096, description="Side at which the image is segmented, px. Fidelity 22.")
    weights: PathText = Field(
        "download",
        description="Checkpoint of `mvanet`: the path of MVANet's `Model_80.pth`, or `download`, which tries to fetch "
        "it from the authors' Google Drive.",
    )
    weights_sha256: Sha256 | None = Field(
        None,
        description="SHA-256 that the fetched checkpoint must have; its authors publish none, the log of "
        "`fetch_weights` says what it is.",
        json_schema_extra=NEUTRAL,
    )
    test_time_scales: list[Annotated[float, Field(gt=0)]] = Field(
        [0.75, 1.0, 1.25],
        min_length=1,
        description="Scales at which `mvanet` sees an image; the mean of the logits decides. MVANet itself has 1.125 "
        "in place of 1.25. Fidelity 26.",
    )
    test_time_flip: bool = Field(True, description="`mvanet` sees every image mirrored as well. Fidelity 26.")
    amp: bool = Field(False, description="Automatic mixed precision (bfloat16) of `mvanet`.")
    channels_last: bool = Field(
        False, description="`mvanet`'s weights lie in memory with channels last.", json_schema_extra=ADDED
    )
    batch_size: int = Field(
        1,
        ge=1,
        description="Images that go through `mvanet` together; memory grows with it.",
        json_schema_extra=NEUTRAL,
    )

    def check(self, method: str) -> None:
        """Check the sizes for a method of segmentation.

        Raises:
            ValueError: ``mvanet`` cannot take them.
        """
        sizes = [self.image_size * scale for scale in self.test_time_scales]
        if method == "mvanet" and any(size < 384 or size % 128 for size in sizes):
            raise ValueError(
                f"segmentation: image_size times test_time_scales gives {', '.join(f'{size:g}' for size in sizes)} px; "
                "mvanet needs multiples of 128 from 384 on: take image_size 1024 or 512, or other scales"
            )

    def deciding(self, method: str) -> dict[str, Any]:
        """The settings that a stored segmentation of a method depends on, as plain values."""
        unused = {"weights"}
        if method != "mvanet":
            unused |= {"test_time_scales", "test_time_flip", "amp", "channels_last"}
        return {name: value for name, value in deciding(self).items() if name not in unused}


class Foreground(Block):
    """What is made of a segmentation where it is read (paper section 3.4)."""

    method: Literal["mvanet", "threshold", "none"] = Field(
        "mvanet",
        description="Method of segmentation: `mvanet`, `threshold` (for plain backgrounds) or `none` (everything is "
        "foreground).",
    )
    mask_size: int = Field(256, ge=8, le=4096, description="Side of the mask, px, from which the feature grid takes.")
    fill_holes: bool = Field(True, description="Close holes in the segmentation.")
    dilation: int = Field(
        8,
        ge=0,
        le=256,
        description="Side of the square structure that dilates the segmentation, px of `segmentation.image_size`.",
    )
    to_grid: Literal["nearest", "bilinear"] = Field(
        "nearest",
        description="From the mask to the feature grid: `nearest` as in the paper, or the truncating "
        "`bilinear` that the released code does by accident. Fidelity 25.",
    )
    empty: Literal["foreground", "background"] = Field(
        "foreground",
        description="What a view is in which no foreground is found, or none on the feature grid: all `foreground`, "
        "so that it has a score, or, as in the released code, all `background`, so that all of it scores 0. "
        "Fidelity 25.",
    )
    background: Literal["zero", "ignored"] = Field(
        "zero",
        description="The background's score. `zero`: 0, as in the released code, which is not the lowest score. "
        "`ignored`: it takes no part in an image's maximum and ranks below every foreground pixel in pixel metrics, as "
        'the paper\'s "ignoring the background completely" can be read. Fidelity 27.',
        json_schema_extra=SCORING,
    )

    @model_validator(mode="after")
    def _every_view_has_a_score(self) -> Foreground:
        if self.background == "ignored" and self.empty == "background":
            raise ValueError(
                "background: ignored with empty: background leaves a view without foreground without any score; set "
                "empty: foreground, or background: zero"
            )
        return self
