"""A model's settings in words, as footnotes of tables print them."""

from __future__ import annotations

import ast
from importlib.metadata import version

from multiflow.methods.anomalib.catalog import network_parameter, parameters
from multiflow.methods.anomalib.settings import Settings

__all__ = ["departures", "describe"]


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


def departures(settings: Settings) -> tuple[str, ...]:
    """How a model differs from its paper, as far as it is known: the library's code, and what is not its default.

    The library's own defaults, and sizes and crops of pictures, are compared with no paper.
    """
    known = parameters(settings.model)
    found = [f"code of anomalib {version('anomalib')} (the authors')"]
    own, parameter = dict(settings.settings), network_parameter(settings.model)
    if parameter is not None and settings.network.backbone:
        own.setdefault(parameter[0], settings.network.backbone.partition(".")[0])
    for name, value in own.items():
        default = _value(known[name].default)
        if _text(value) != _text(default):
            usual = "the library's own choice" if default in ("", None) else f"the library's {_text(default)}"
            found.append(f"{name} {_text(value)} ({usual})")
    if settings.training.epochs is not None:
        epochs = f"{settings.training.epochs} epoch{'s' if settings.training.epochs != 1 else ''}"
        found.append(f"{epochs} in batches of {settings.training.batch_size} (not compared)")
    found.append(f"whole pictures of {settings.image_size} px (not compared)")
    if settings.masks:
        found.append("scores in the foreground alone (everywhere)")
    return tuple(found)


def _value(source: str) -> object:
    """A default as a value: a member of an enumeration as settings name it, another expression as it is written."""
    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError):
        member = source.rpartition(".")[2]
        return member.lower() if member.isidentifier() and member.isupper() else source


def _text(value: object) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
