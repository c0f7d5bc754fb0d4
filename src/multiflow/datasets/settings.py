"""The `dataset` block."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from multiflow.base.paths import PathText
from multiflow.base.settings import Block, ClassName, Heading, Name, Unique
from multiflow.datasets import LAYOUTS, layout

__all__ = ["Dataset"]

_UNMASKED_VIEWS = {
    "normal": "anomalous views without a mask count as normal",
    "image_only": "anomalous views without a mask take no part in pixel metrics",
}


class Dataset(Block):
    """Where the pictures are, and what is printed beside their results."""

    layout: str = Field(
        "real_iad",
        description="How the data set lies on disk: one of the files that `src/multiflow/datasets` registers, such as "
        "`real_iad`, `mvtec` or `btad`.",
    )
    name: Heading = Field("Real-IAD", description="Name of the data set, printed in every table's footnote.")
    root: PathText | None = Field(
        None,
        description="Folder of the data set. It is only read. In this and every other path `~`, `$NAME` and `${NAME}` "
        "are replaced as a shell does. Empty: the rendered parts of this run.",
    )
    image_folder: str = Field(
        "realiad_1024", description="Folder below `root` that holds a folder per class; of the layout `real_iad` alone."
    )
    annotations: str = Field(
        "realiad_jsons",
        description="Folder below `root` with a JSON per class: `realiad_jsons` (multi-view), "
        "`realiad_jsons_sv` (C1 only) or `realiad_jsons_fuiad_0.1` (noisy training data); of the layout `real_iad` "
        "alone.",
    )
    cameras: Unique[Name] = Field(
        ["C1", "C2", "C3", "C4", "C5"],
        min_length=1,
        description="The views of a sample, top view first; the others form a ring in this order. Pictures of other "
        "cameras are left out. Layouts of one view call it C1.",
    )
    classes: Unique[ClassName] = Field(
        min_length=1,
        description="Classes to run: the names of the JSON files, or of the folders. A number gets two digits, since "
        "YAML reads 01 as 1; other names of digits go between quotes.",
    )
    unmasked_views: Literal["refuse", "normal", "image_only"] = Field(
        "refuse",
        description="What a view is that is anomalous by its sample and has no mask, as in Real-IAD Variety where a "
        "camera does not see the defect: `refuse` stops with a line for each; `normal`: a normal view, also in pixel "
        "metrics, and a sample without any mask is normal; `image_only`: an anomalous view, of which pixel metrics "
        "count no pixel.",
    )
    flips: PathText | None = Field(
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

    @model_validator(mode="after")
    def _views_are_there(self) -> Dataset:
        cameras = getattr(layout(self.layout), "CAMERAS", self.cameras)
        if unknown := [camera for camera in self.cameras if camera not in cameras]:
            raise ValueError(
                f"cameras: the layout {self.layout} has the views {', '.join(cameras)}, found {', '.join(unknown)}; "
                f"set cameras: [{', '.join(cameras)}]"
            )
        return self

    @property
    def protocol(self) -> tuple[str, ...]:
        """What is read of the data set, in phrases that footnotes print."""
        subset = getattr(layout(self.layout), "subset", None)
        phrases = () if subset is None else (str(subset(self)),)
        return phrases if self.unmasked_views == "refuse" else (*phrases, _UNMASKED_VIEWS[self.unmasked_views])
