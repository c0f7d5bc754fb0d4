"""Multi-Flow (Kruse & Rosenhahn, CVPR-W 2025): a normalizing flow whose st-networks pass messages between the views.

This file is read at every start of the workflow: what computes is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from multiflow.methods.contract import Cost, Images, Model, Needs, Sample, Samples, Scores
from multiflow.methods.multiflow import description
from multiflow.methods.multiflow.ablations import ABLATIONS
from multiflow.methods.multiflow.settings import Settings as FlowSettings

if TYPE_CHECKING:
    import torch

    from multiflow.methods.work import Work

__all__ = ["MultiFlowMethod"]


class MultiFlowMethod:
    """Multi-Flow behind the contract of :class:`multiflow.methods.contract.Method`."""

    heading = "Multi-Flow"
    reference = "Kruse & Rosenhahn, Multi-Flow, CVPR-W 2025, arXiv 2504.03306"
    Settings = FlowSettings
    ablations = ABLATIONS

    def needs(self, settings: FlowSettings) -> Needs:
        """One set of features, and the foreground."""
        return Needs(features=(settings.features,), foreground=True)

    def check_samples(self, settings: FlowSettings, samples: int, views: int, place: str) -> None:
        """There must be one batch."""
        settings.training.batches(samples, place)

    def train(self, samples: Samples, settings: FlowSettings, seed: int, work: Work) -> Model:
        """Train a flow; see :func:`multiflow.methods.multiflow.training.train_flow`."""
        from multiflow.methods.multiflow.training import train_flow

        return train_flow(samples, settings, seed, work)

    def scorer(self, model: Model, settings: FlowSettings, device: torch.device) -> Callable[[Sample], Scores]:
        """A flow that scores; see :class:`multiflow.methods.multiflow.scoring.FlowScorer`."""
        from multiflow.methods.multiflow.scoring import FlowScorer

        return FlowScorer(model, settings, device)

    def cost(self, settings: FlowSettings, images: Images) -> Cost:
        """Counted from the shapes of the network."""
        from multiflow.methods.multiflow.cost import flow_cost

        return flow_cost(settings, images)

    def describe(self, settings: FlowSettings, views: int) -> dict[str, str]:
        """Phrases for the footnotes of tables."""
        return description.describe(settings, views)

    def facts(self, settings: FlowSettings, views: int) -> dict[str, str]:
        """Values on which it depends whether an experiment is an ablation's row."""
        return description.facts(settings, views)
