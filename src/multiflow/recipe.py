"""How pictures of a part become what a flow sees; it travels with the flow, so that new pictures go the same way."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from multiflow.config import Features, Foreground
from multiflow.errors import InputError
from multiflow.flow_input import FlowInput

__all__ = ["Recipe", "ViewRecipe"]

_FEATURES = ("backbone", "node", "padding", "image_size", "dtype", "threads")
_MISSING = "train the flow again, or import its checkpoint again with --features and --foreground"


class ViewRecipe(BaseModel):
    """One view of a sample.

    Args:
        camera: its name.
        flip: whether its pictures are mirrored left-right when they are decoded.
        sizes: width and height of its training pictures, px: each that occurs.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    camera: str
    flip: bool
    sizes: list[tuple[int, int]]


class Recipe(BaseModel):
    """All that lies between a sample's pictures and a flow, but for the scaling, which is part of the flow.

    The number of CPU threads is part of it: the last digits of a network's output depend on it.

    Args:
        class_name: the class that the flow was trained on.
        views: the views of a sample, in the flow's order.
        features: the backbone's settings.
        backbone_sha256: of the file with the backbone's weights.
        foreground: the settings of the masks, ``to_grid`` included.
        foreground_sha256: of the file with the weights of the foreground's network, if it has any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    class_name: str
    views: list[ViewRecipe]
    features: Features
    backbone_sha256: str
    foreground: Foreground
    foreground_sha256: str | None

    @property
    def cameras(self) -> list[str]:
        """The views of a sample, in order."""
        return [view.camera for view in self.views]

    @classmethod
    def of(cls, data: FlowInput) -> Recipe | None:
        """The recipe by which a class's features and foreground were made; None for features of an older version.

        Raises:
            InputError: a file is damaged.
        """
        features, masks = data.features, data.foreground
        if "views" not in features.file.attrs:
            return None
        foreground: dict[str, Any] = {"method": "none"}
        checksum = None
        if masks is not None:
            stored = {name: masks.attribute(name) for name in masks.file.attrs}
            checksum = stored.pop("weights_sha256", None)
            foreground = {name: value for name, value in stored.items() if name in Foreground.model_fields}
        return cls(
            class_name=features.attribute("class"),
            views=[ViewRecipe(**view) for view in json.loads(features.attribute("views"))],
            features=Features(**{name: features.attribute(name) for name in _FEATURES}),
            backbone_sha256=features.attribute("weights_sha256"),
            foreground=Foreground(**foreground, to_grid=data.to_grid),
            foreground_sha256=checksum,
        )

    def with_threads(self, threads: int | None) -> Recipe:
        """This recipe with another number of CPU threads; None changes nothing."""
        if threads is None:
            return self
        changes = {
            name: getattr(self, name).model_copy(update={"threads": threads}) for name in ("features", "foreground")
        }
        return self.model_copy(update=changes)

    def metadata(self) -> dict[str, Any]:
        """As plain values, without the settings that decide nothing."""
        values = self.model_dump(mode="json", include={"class_name", "views", "backbone_sha256", "foreground_sha256"})
        masks = self.foreground.mask_settings() | self.foreground.model_dump(include={"to_grid", "threads"})
        return values | {"features": self.features.model_dump(mode="json", include=set(_FEATURES)), "foreground": masks}

    @classmethod
    def read(cls, flow: Path, metadata: Mapping[str, Any]) -> Recipe:
        """The recipe in a flow's metadata.

        Args:
            flow: the flow's file, for messages.
            metadata: what :func:`multiflow.flow.checkpoint.load_flow` found in it.

        Raises:
            InputError: it has none.
        """
        if metadata.get("recipe") is None:
            raise InputError(f"{flow}: expected a flow that says how its pictures are prepared, found none; {_MISSING}")
        try:
            return cls.model_validate(metadata["recipe"])
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            raise InputError(f"{flow}: recipe: {place}: {problem['msg']}; {_MISSING}") from None
