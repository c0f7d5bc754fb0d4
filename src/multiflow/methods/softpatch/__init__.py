"""SoftPatch (Jiang et al., NeurIPS 2022): a bank of normal patches without those that look like noise.

This file is read at every start of the workflow: what computes is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import TYPE_CHECKING

from multiflow.methods.contract import Model, Needs, Sample, Samples, Scores
from multiflow.methods.patches.settings import NOT_COMPARED
from multiflow.methods.softpatch.settings import Settings as SoftPatchSettings

if TYPE_CHECKING:
    import torch

    from multiflow.methods.work import Work

__all__ = ["SoftPatchMethod"]


class SoftPatchMethod:
    """SoftPatch behind the contract of :class:`multiflow.methods.contract.Method`. Each view is an image of its own."""

    heading = "SoftPatch"
    reference = "Jiang et al., SoftPatch, NeurIPS 2022, arXiv 2403.14233"
    Settings = SoftPatchSettings

    def needs(self, settings: SoftPatchSettings) -> Needs:
        """Pictures, and the network's weights."""
        return Needs(images=settings.image_size, weights=(settings.encoder,))

    def check_samples(self, settings: SoftPatchSettings, samples: int, views: int, place: str) -> None:
        """There must be others to compare a patch with."""
        settings.check(samples, place)

    def train(self, samples: Samples, settings: SoftPatchSettings, seed: int, work: Work) -> Model:
        """Fill the bank; see :func:`multiflow.methods.softpatch.bank.fill_bank`."""
        from multiflow.methods.softpatch.bank import fill_bank

        return fill_bank(samples, settings, seed, work)

    def scorer(self, model: Model, settings: SoftPatchSettings, device: torch.device) -> Callable[[Sample], Scores]:
        """A bank that scores; see :class:`multiflow.methods.softpatch.scoring.SoftPatchScorer`."""
        from multiflow.methods.softpatch.scoring import SoftPatchScorer

        return SoftPatchScorer(model, settings, device)

    def bibtex(self, settings: SoftPatchSettings) -> str:
        """How it is cited."""
        return (files(__name__) / "reference.bib").read_text(encoding="utf-8")

    def describe(self, settings: SoftPatchSettings, views: int) -> dict[str, str]:
        """Phrases for the footnotes of tables."""
        left_out, kept = (f"{100 * share:.3g} %" for share in (settings.noise_share, settings.coreset_share))
        weighted = "" if settings.weighted else ", distances not weighted"
        return {
            "network": f"{settings.encoder.backbone} at {settings.image_size} px",
            "bank": f"{left_out} of the patches left out ({settings.discriminator}), coreset of {kept}{weighted}",
        }

    def departures(self, settings: SoftPatchSettings, changes: tuple[str, ...]) -> tuple[str, ...]:
        """Phrases for footnotes beside published numbers."""
        return *NOT_COMPARED, *changes
