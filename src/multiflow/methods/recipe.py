"""How pictures of a part become what a method sees; it travels with the model, so that new pictures go the same way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from multiflow.base.errors import InputError
from multiflow.base.settings import deciding
from multiflow.datasets.images import Resampling
from multiflow.features.settings import FeatureSet
from multiflow.foreground.settings import Foreground, Segmentation

__all__ = ["FeatureRecipe", "ForegroundRecipe", "Recipe", "ViewRecipe"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ViewRecipe(_Part):
    """One view of a sample.

    Args:
        camera: its name.
        flip: whether its pictures are mirrored left-right when they are decoded.
        sizes: width and height of its training pictures, px: each that occurs.
    """

    camera: str
    flip: bool
    sizes: list[tuple[int, int]]


class FeatureRecipe(_Part):
    """A set of features.

    Args:
        settings: the backbone's.
        weights_sha256: of its weights' tensors.
        threads: CPU threads of the extraction; last digits depend on them.
    """

    settings: FeatureSet
    weights_sha256: str
    threads: int


class ForegroundRecipe(_Part):
    """The foreground.

    Args:
        settings: what is made of a segmentation.
        segmentation: how pictures are segmented.
        weights_sha256: of the network's tensors, if it has any.
        threads: CPU threads of the segmentation.
    """

    settings: Foreground
    segmentation: Segmentation
    weights_sha256: str | None
    threads: int


class Recipe(_Part):
    """All that lies between a sample's pictures and a method.

    Args:
        class_name: the class that the model was trained on.
        views: the views of a sample, in order.
        images: side of the decoded pictures that the method reads, px; None where it reads none.
        resampling: how pictures are brought to that size.
        features: by name.
        foreground: None where everything is foreground.
        weights: checksums of the files of the pretrained networks that the method runs itself, by network.
        threads: CPU threads of the scores; last digits depend on them.
    """

    class_name: str
    views: list[ViewRecipe]
    images: int | None = None
    resampling: Resampling = "bilinear"
    features: dict[str, FeatureRecipe] = {}
    foreground: ForegroundRecipe | None = None
    weights: dict[str, str] = {}
    threads: int

    @property
    def cameras(self) -> list[str]:
        """The views of a sample, in order."""
        return [view.camera for view in self.views]

    def with_threads(self, threads: int | None) -> Recipe:
        """This recipe with another number of CPU threads; None changes nothing."""
        if threads is None:
            return self
        changes: dict[str, Any] = {
            "threads": threads,
            "features": {
                name: features.model_copy(update={"threads": threads}) for name, features in self.features.items()
            },
        }
        if self.foreground is not None:
            changes["foreground"] = self.foreground.model_copy(update={"threads": threads})
        return self.model_copy(update=changes)

    def metadata(self) -> dict[str, Any]:
        """As plain values, without the settings that decide nothing."""
        values = self.model_dump(mode="json")
        for name, features in self.features.items():
            values["features"][name]["settings"] = deciding(features.settings)
        if self.foreground is not None:
            values["foreground"]["segmentation"] = deciding(self.foreground.segmentation)
        return values

    @classmethod
    def read(cls, model: Path, metadata: Mapping[str, Any]) -> Recipe:
        """The recipe in a model's metadata.

        Args:
            model: the model's file, for messages.
            metadata: what :func:`multiflow.methods.model.read_metadata` found in it.

        Raises:
            InputError: it has none.
        """
        missing = "train the model again, or import its checkpoint again for its class with --config and --class"
        if metadata.get("recipe") is None:
            raise InputError(
                f"{model}: expected a model that says how its pictures are prepared, found none; {missing}"
            )
        try:
            return cls.model_validate(metadata["recipe"])
        except ValidationError as error:
            problem = error.errors()[0]
            place = ".".join(str(part) for part in problem["loc"])
            raise InputError(f"{model}: recipe: {place}: {problem['msg']}; {missing}") from None
