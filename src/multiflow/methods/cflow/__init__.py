"""CFLOW-AD (Gudovskiy et al., WACV 2022): conditional flows over single pixels of a frozen encoder's levels.

This file is read at every start of the workflow: what computes is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from multiflow.methods.cflow import description
from multiflow.methods.cflow.settings import Settings as CflowSettings
from multiflow.methods.contract import Cost, Images, Model, Needs, Sample, Samples, Scores

if TYPE_CHECKING:
    import torch

    from multiflow.methods.work import Work

__all__ = ["CflowMethod"]


class CflowMethod:
    """CFLOW-AD behind the contract of :class:`multiflow.methods.contract.Method`. Each view is an image of its own."""

    heading = "CFLOW-AD"
    reference = "Gudovskiy, Ishizaka & Kozuka, CFLOW-AD, WACV 2022, arXiv 2107.12571"
    Settings = CflowSettings

    def needs(self, settings: CflowSettings) -> Needs:
        """Pictures of its own size, and the encoder's weights."""
        return Needs(images=settings.image_size, resampling=settings.resampling, weights=(settings.encoder,))

    def check_samples(self, settings: CflowSettings, samples: int, views: int, place: str) -> None:
        """There must be one batch of images."""
        settings.training.batches(samples * views, place)

    def train(self, samples: Samples, settings: CflowSettings, seed: int, work: Work) -> Model:
        """Train the decoders; see :func:`multiflow.methods.cflow.training.train_cflow`."""
        from multiflow.methods.cflow.training import train_cflow

        return train_cflow(samples, settings, seed, work)

    def scorer(self, model: Model, settings: CflowSettings, device: torch.device) -> Callable[[Sample], Scores]:
        """Decoders that score; see :class:`multiflow.methods.cflow.scoring.CflowScorer`."""
        from multiflow.methods.cflow.scoring import CflowScorer, SurveyScorer

        kind = SurveyScorer if settings.maximum == "test" else CflowScorer
        return kind(model, settings, device)

    def stages(self, settings: CflowSettings) -> int:
        """A model after each meta-epoch but the last: the released code evaluates all of them."""
        return settings.training.meta_epochs - 1

    def cost(self, settings: CflowSettings, images: Images) -> Cost:
        """Counted from the shapes of encoder and decoders."""
        from multiflow.methods.cflow.cost import cflow_cost

        return cflow_cost(settings, images)

    def describe(self, settings: CflowSettings, views: int) -> dict[str, str]:
        """Phrases for the footnotes of tables."""
        return description.describe(settings)
