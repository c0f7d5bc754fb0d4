"""The settings of SoftPatch: the block `methods.softpatch`, of which an experiment changes a few."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from multiflow.base.errors import InputError
from multiflow.base.settings import SCORING, Block
from multiflow.methods.patches.settings import PatchEncoder

__all__ = ["Settings"]


class Settings(Block):
    """SoftPatch: distances to a bank of normal patches, weighted by how normal those were among the others."""

    image_size: int = Field(256, ge=64, le=4096, description="Side of the square input, px; also of the anomaly maps.")
    encoder: PatchEncoder = Field(PatchEncoder(), description="The network.")
    discriminator: Literal["lof", "nearest", "gaussian"] = Field(
        "lof",
        description="How unlike the others a patch is, among those at the same place of the same view: its local "
        "outlier factor, the distance to its `nearest` one, or the Mahalanobis distance to all (`gaussian`).",
    )
    neighbours: int = Field(6, ge=1, description="With `lof`: patches with which a patch's density is compared.")
    noise_share: float = Field(
        0.15, ge=0, lt=1, description="Share of all patches, those most unlike the others, that are left out."
    )
    components: int = Field(
        128, ge=1, description="Numbers of a random projection of a patch, by which they are compared with each other."
    )
    coreset_share: float = Field(
        0.1, gt=0, le=1, description="Share of the patches that are left which the bank holds, as PatchCore's coreset."
    )
    weighted: bool = Field(
        True,
        description="A distance counts the more the less normal the patch in the bank was: times its outlier score.",
        json_schema_extra=SCORING,
    )

    def check(self, samples: int, place: str) -> None:
        """There must be others to compare a patch with.

        Raises:
            InputError: there are too few.
        """
        least = 1 + (self.neighbours if self.discriminator == "lof" else 1)
        if samples < least:
            remedy = "lower neighbours, or give more" if least > 2 else "give more"
            raise InputError(f"{place}: train: expected at least {least} samples to compare, found {samples}; {remedy}")
