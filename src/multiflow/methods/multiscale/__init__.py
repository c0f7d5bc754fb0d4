"""Multi-Scale Multi-Flow: Multi-Flow's messages between the views, at each of several scales (docs/multiscale.md).

This file is read at every start of the workflow: what computes is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from multiflow.methods.contract import Cost, Images, Model, Needs, Sample, Samples, Scores
from multiflow.methods.multiscale import description
from multiflow.methods.multiscale.ablations import ABLATIONS
from multiflow.methods.multiscale.settings import Settings as ScaleSettings

if TYPE_CHECKING:
    import torch

    from multiflow.methods.work import Work

__all__ = ["MultiScaleMethod"]


class MultiScaleMethod:
    """Multi-Scale Multi-Flow behind the contract of :class:`multiflow.methods.contract.Method`."""

    heading = "Multi-Scale Multi-Flow"
    reference = "Multi-Flow Bench, docs/multiscale.md"
    Settings = ScaleSettings
    ablations = ABLATIONS

    def needs(self, settings: ScaleSettings) -> Needs:
        """A set of features a level, and the foreground."""
        return Needs(features=tuple(settings.levels), foreground=True)

    def check_samples(self, settings: ScaleSettings, samples: int, views: int, place: str) -> None:
        """There must be one batch."""
        settings.training.batches(samples, place)

    def train(self, samples: Samples, settings: ScaleSettings, seed: int, work: Work) -> Model:
        """Train all levels; see :func:`multiflow.methods.multiscale.training.train_levels`."""
        from multiflow.methods.multiscale.training import train_levels

        return train_levels(samples, settings, seed, work)

    def scorer(self, model: Model, settings: ScaleSettings, device: torch.device) -> Callable[[Sample], Scores]:
        """Levels that score; see :class:`multiflow.methods.multiscale.scoring.MultiScaleScorer`."""
        from multiflow.methods.multiscale.scoring import MultiScaleScorer

        return MultiScaleScorer(model, settings, device)

    def cost(self, settings: ScaleSettings, images: Images) -> Cost:
        """Counted from the shapes of the levels' networks."""
        from multiflow.methods.multiscale.cost import levels_cost

        return levels_cost(settings, images)

    def bibtex(self, settings: ScaleSettings) -> str:
        """How it is cited, together with the method whose flows it has at each scale."""
        folders = files(__name__), files("multiflow.methods.multiflow")
        return "\n".join((folder / "reference.bib").read_text(encoding="utf-8") for folder in folders)

    def describe(self, settings: ScaleSettings, views: int) -> dict[str, str]:
        """Phrases for the footnotes of tables."""
        return description.describe(settings, views)

    def facts(self, settings: ScaleSettings, views: int) -> dict[str, str]:
        """Values on which it depends whether an experiment is an ablation's row."""
        return description.facts(settings, views)
