"""The settings that methods of patches share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from multiflow.base.settings import Unique
from multiflow.methods.cflow.settings import Encoder

__all__ = ["NOT_COMPARED", "PatchEncoder"]

NOT_COMPARED = ("written from the paper's equations (the authors' code)", "whole pictures (their middle)")
"""What footnotes beside published numbers say of these methods, whatever their settings."""


class PatchEncoder(Encoder):
    """The frozen network whose levels, averaged over 3 × 3 neighbours and joined, are the features of a patch."""

    levels: Unique[int] = Field(
        [-3, -2],
        min_length=1,
        description="Feature levels: indices into those that timm names, from 0, or negative from the deepest; the "
        "first one's grid is that of the patches. Strides 8 and 16 of a ResNet by default.",
    )
    padding: Literal["reflect", "zeros"] = Field(
        "zeros", description="Padding of all padded convolutions: the network's own `zeros`, or `reflect`."
    )
