"""What is rendered: the ``rendering`` block of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

__all__ = ["Rendering"]


class Rendering(BaseModel, extra="forbid", frozen=True):
    """Size of a rendered data set; the defaults are those of the demo."""

    layout: Literal["realiad", "mvtec"] = Field(
        default="realiad",
        description="`realiad`: five cameras in Real-IAD's layout; `mvtec`: the one from above in MVTec AD's.",
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=2**31 - 1,
        description="Seed of the whole data set; a class such as `coin_cell-1` has its own.",
    )
    image_size: int = Field(default=384, ge=64, le=1024, description="Width and height of an image, px.")
    train: int = Field(default=24, ge=1, le=2000, description="Normal training samples per class.")
    test_ok: int = Field(default=10, ge=1, le=2000, description="Normal test samples per class.")
    test_ng: int = Field(default=16, ge=1, le=2000, description="Anomalous test samples per class.")
    samples_per_pixel: int = Field(
        default=2, ge=1, le=8, description="k of the k x k strata that every pixel is sampled with."
    )
