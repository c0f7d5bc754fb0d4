"""What one experiment runs with: its method, the method's settings, and its own form of the run's blocks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multiflow.base.errors import InputError
from multiflow.base.settings import Block, Compute, deciding
from multiflow.foreground.settings import Foreground
from multiflow.methods.checks import checked_needs
from multiflow.methods.contract import Method, Needs
from multiflow.methods.hooks import ask
from multiflow.metrics.settings import Evaluation

__all__ = ["Experiment", "title_of"]


@dataclass(frozen=True)
class Experiment:
    """What one experiment runs with, on one class.

    Attributes:
        name: of the experiment.
        method_name: of its method, as the configuration names it.
        method: its method.
        heading: its name in tables.
        settings: an object of the method's ``Settings``.
        foreground, evaluation, compute: the run's blocks with this experiment's changes.
    """

    name: str
    method_name: str
    method: Method
    heading: str
    settings: Block
    foreground: Foreground
    evaluation: Evaluation
    compute: Compute

    @property
    def reference(self) -> str:
        """How its method is cited."""
        return title_of(self.method, self.settings)[1]

    @property
    def needs(self) -> Needs:
        """What the method reads of a sample.

        Raises:
            InputError: the method does not say it as the contract describes.
        """
        return checked_needs(self.name, self.method, self.settings)

    @property
    def segmentation(self) -> str | None:
        """The method of segmentation whose files are read; None where everything is foreground."""
        return self.foreground.method if self.needs.foreground and self.foreground.method != "none" else None

    @property
    def stages(self) -> int:
        """Models of earlier stages that its training keeps beside the last one, since one is chosen among them."""
        return 0 if self.evaluation.select == "last" else ask(self.method, "stages", int, self.settings) or 0

    def training_values(self) -> dict[str, Any]:
        """All settings that decide a trained model, as plain values."""
        values: dict[str, Any] = {"method": self.method_name, "settings": deciding(self.settings, "training")}
        if self.segmentation is not None:
            values["foreground"] = deciding(self.foreground, "training")
        if self.stages:
            values["stages"] = self.stages
        return values

    def scoring_values(self) -> dict[str, Any]:
        """All settings that decide the scores of a trained model, as plain values."""
        values = {"method": self.method_name, "settings": deciding(self.settings)}
        if self.segmentation is not None:
            values["foreground"] = deciding(self.foreground)
        return values


def title_of(method: Method, settings: Block) -> tuple[str, str]:
    """A method's name in tables and how it is cited, with these settings."""
    title = ask(method, "title", tuple, settings)
    if title is None:
        return method.heading, method.reference
    if [type(part) for part in title] != [str, str]:
        raise InputError(
            f"method {method.heading}: title: expected a name and a reference, found {title!r:.60}; correct the method"
        )
    return title[0], title[1]
