"""A model's settings in words, as footnotes of tables print them."""

from __future__ import annotations

from multiflow.methods.anomalib.settings import Settings

__all__ = ["describe"]


def describe(settings: Settings) -> dict[str, str]:
    """What decides its numbers, a phrase per part: ``training``, ``network``, ``score``."""
    training = settings.training
    parts = [] if training.epochs is None else [f"{training.epochs} epoch{'s' if training.epochs != 1 else ''}"]
    parts += [f"{name} {_text(value)}" for name, value in settings.settings.items()]
    networks = " and ".join(network.backbone for network in settings.networks) or "no pretrained network"
    found = {"network": f"{networks} at {settings.image_size} px"}
    if parts:
        found["training"] = ", ".join(parts)
    found["score"] = "one view at a time, not normalised" + (", background without score" if settings.masks else "")
    return found


def _text(value: object) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
