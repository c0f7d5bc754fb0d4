"""Models of the library anomalib (Akcay et al., ICIP 2022): one adapter for all of them.

This file is read at every start of the workflow: what computes is imported where it is used, and what there is to know
of a model before is read from the library's source.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from multiflow.methods.anomalib import description
from multiflow.methods.anomalib.catalog import entry
from multiflow.methods.anomalib.settings import Settings as AnomalibSettings
from multiflow.methods.contract import Model, Needs, Sample, Samples, Scores

if TYPE_CHECKING:
    import torch

    from multiflow.methods.work import Work

__all__ = ["AnomalibMethod"]


class AnomalibMethod:
    """anomalib behind the contract of :class:`multiflow.methods.contract.Method`. Each view is an image of its own."""

    heading = "anomalib"
    reference = "Akcay et al., Anomalib, ICIP 2022, arXiv 2202.08341"
    Settings = AnomalibSettings

    def needs(self, settings: AnomalibSettings) -> Needs:
        """Pictures of the model's size, the weights of its network, and the foreground where scores are masked."""
        return Needs(images=settings.image_size, foreground=settings.masks, weights=settings.networks)

    def title(self, settings: AnomalibSettings) -> tuple[str, str]:
        """The model's own name and reference."""
        found = entry(settings.model)
        return found.heading, f"{found.reference} (by {self.reference})"

    def check_samples(self, settings: AnomalibSettings, samples: int, views: int, place: str) -> None:
        """There must be one batch."""
        settings.training.check(samples * views, place)

    def train(self, samples: Samples, settings: AnomalibSettings, seed: int, work: Work) -> Model:
        """Train a model; see :func:`multiflow.methods.anomalib.training.train_anomalib`."""
        from multiflow.methods.anomalib.training import train_anomalib

        return train_anomalib(samples, settings, seed, work)

    def scorer(self, model: Model, settings: AnomalibSettings, device: torch.device) -> Callable[[Sample], Scores]:
        """A model that scores; see :class:`multiflow.methods.anomalib.scoring.AnomalibScorer`."""
        from multiflow.methods.anomalib.scoring import AnomalibScorer

        return AnomalibScorer(model, settings, device)

    def describe(self, settings: AnomalibSettings, views: int) -> dict[str, str]:
        """Phrases for the footnotes of tables."""
        return description.describe(settings)

    def departures(self, settings: AnomalibSettings, changes: tuple[str, ...]) -> tuple[str, ...]:
        """Phrases for footnotes beside published numbers; ``changes`` are those against this adapter's defaults."""
        return description.departures(settings)
