"""SimpleNet (Liu et al., CVPR 2023): patches are told from the same ones with noise.

This file is read at every start of the workflow: what computes is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from multiflow.methods.contract import Cost, Images, Model, Needs, Sample, Samples, Scores
from multiflow.methods.patches.settings import NOT_COMPARED
from multiflow.methods.simplenet.settings import Settings as SimpleNetSettings

if TYPE_CHECKING:
    import torch

    from multiflow.methods.work import Work

__all__ = ["SimpleNetMethod"]


class SimpleNetMethod:
    """SimpleNet behind the contract of :class:`multiflow.methods.contract.Method`. Each view is an image of its own."""

    heading = "SimpleNet"
    reference = "Liu et al., SimpleNet, CVPR 2023, arXiv 2303.15140"
    Settings = SimpleNetSettings

    def needs(self, settings: SimpleNetSettings) -> Needs:
        """Pictures, and the network's weights."""
        return Needs(images=settings.image_size, weights=(settings.encoder,))

    def train(self, samples: Samples, settings: SimpleNetSettings, seed: int, work: Work) -> Model:
        """Train adaptor and discriminator; see :func:`multiflow.methods.simplenet.training.train_simplenet`."""
        from multiflow.methods.simplenet.training import train_simplenet

        return train_simplenet(samples, settings, seed, work)

    def scorer(self, model: Model, settings: SimpleNetSettings, device: torch.device) -> Callable[[Sample], Scores]:
        """Layers that score; see :class:`multiflow.methods.simplenet.scoring.SimpleNetScorer`."""
        from multiflow.methods.simplenet.scoring import SimpleNetScorer

        return SimpleNetScorer(model, settings, device)

    def cost(self, settings: SimpleNetSettings, images: Images) -> Cost:
        """Counted from the shapes of network and layers."""
        from multiflow.methods.simplenet.cost import simplenet_cost

        return simplenet_cost(settings, images)

    def bibtex(self, settings: SimpleNetSettings) -> str:
        """How it is cited."""
        return (files(__name__) / "reference.bib").read_text(encoding="utf-8")

    def describe(self, settings: SimpleNetSettings, views: int) -> dict[str, str]:
        """Phrases for the footnotes of tables."""
        training = settings.training
        return {
            "network": f"{settings.encoder.backbone} at {settings.image_size} px",
            "training": f"{training.epochs} epoch{'s' if training.epochs != 1 else ''}, noise {training.noise:g}",
        }

    def departures(self, settings: SimpleNetSettings, changes: tuple[str, ...]) -> tuple[str, ...]:
        """Phrases for footnotes beside published numbers."""
        return *NOT_COMPARED, *changes
