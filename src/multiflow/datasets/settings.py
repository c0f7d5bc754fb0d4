"""The `dataset` block."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from multiflow.base.settings import Block, Name, Unique
from multiflow.datasets import LAYOUTS

__all__ = ["Dataset"]


class Dataset(Block):
    """Where the pictures are, and what is printed beside their results."""

    layout: str = Field("real_iad", description="How the data set lies on disk: a file of `src/multiflow/datasets`.")
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
    published: Literal["real-iad-multi-view", "mvtec-ad", "btad"] | None = Field(
        None,
        description="Published numbers to print beside the measured ones. Only for the same data set and "
        "protocol, one model per class: Real-IAD, multi-view, MVTec AD or BTAD.",
    )

    @field_validator("layout")
    @classmethod
    def _layout_exists(cls, name: str) -> str:
        if name not in LAYOUTS:
            raise ValueError(f"there is no layout {name}; there are {', '.join(LAYOUTS)}")
        return name
