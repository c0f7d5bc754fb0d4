"""AD-CLSCNFs (Oh & Kim, IEEE Access 2024): a classifier of synthetic defects tunes the encoder of conditional flows.

This file is read at every start of the workflow: what computes is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from multiflow.methods.clscnf import description
from multiflow.methods.clscnf.ablations import ABLATIONS
from multiflow.methods.clscnf.settings import Settings as ClscnfSettings
from multiflow.methods.contract import Cost, Illustration, Images, Model, Needs, Sample, Samples, Scores

if TYPE_CHECKING:
    import torch

    from multiflow.methods.work import Work

__all__ = ["ClscnfMethod"]


class ClscnfMethod:
    """AD-CLSCNFs behind the contract of :class:`multiflow.methods.contract.Method`; a view is an image of its own."""

    heading = "AD-CLSCNFs"
    reference = "Oh & Kim, AD-CLSCNFs, IEEE Access 12, 2024, doi 10.1109/ACCESS.2024.3406376"
    Settings = ClscnfSettings
    ablations = ABLATIONS
    illustration = (
        "Synthetic defects as the classifier sees them. Where the object mask covers the background, or not the whole "
        "part, defects are trained where none can be, or never where some are. The soft label is white where the "
        "classifier shall be sure of a defect."
    )

    def needs(self, settings: ClscnfSettings) -> Needs:
        """Pictures, the encoder's weights, and the foreground where it says where defects may be."""
        return Needs(
            images=settings.image_size,
            foreground=settings.synthesis.objects.source == "foreground",
            weights=(settings.encoder,),
        )

    def check_samples(self, settings: ClscnfSettings, samples: int, views: int, place: str) -> None:
        """Refuse fewer images than a batch of the flows' training."""
        settings.training.batches(samples * views, place)

    def train(self, samples: Samples, settings: ClscnfSettings, seed: int, work: Work) -> Model:
        """Train classifier and flows; see :func:`multiflow.methods.clscnf.training.train_clscnf`."""
        from multiflow.methods.clscnf.training import train_clscnf

        return train_clscnf(samples, settings, seed, work)

    def scorer(self, model: Model, settings: ClscnfSettings, device: torch.device) -> Callable[[Sample], Scores]:
        """Networks that score; see :class:`multiflow.methods.clscnf.scoring.ClscnfScorer`."""
        from multiflow.methods.clscnf.scoring import ClscnfScorer

        return ClscnfScorer(model, settings, device)

    def illustrate(self, samples: Samples, settings: ClscnfSettings, seed: int) -> Illustration:
        """Synthetic defects; see :func:`multiflow.methods.clscnf.synthetic.illustration.illustrate`."""
        from multiflow.methods.clscnf.synthetic.illustration import illustrate

        return illustrate(samples, settings, seed)

    def cost(self, settings: ClscnfSettings, images: Images) -> Cost:
        """Counted from the shapes of the networks."""
        from multiflow.methods.clscnf.cost import clscnf_cost

        return clscnf_cost(settings, images)

    def bibtex(self, settings: ClscnfSettings) -> str:
        """How it is cited."""
        return (files(__name__) / "reference.bib").read_text(encoding="utf-8")

    def describe(self, settings: ClscnfSettings, views: int) -> dict[str, str]:
        """Phrases for the footnotes of tables."""
        return description.describe(settings)

    def facts(self, settings: ClscnfSettings, views: int) -> dict[str, str]:
        """Values on which it depends whether an experiment is an ablation's row."""
        return description.facts(settings)
