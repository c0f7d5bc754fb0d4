"""A trained model as tensors, and back; the network's weights stay in their own file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.methods.anomalib.building import Built, build
from multiflow.methods.anomalib.settings import Settings
from multiflow.methods.contract import Model

__all__ = ["from_model", "restore", "to_model"]


def to_model(built: Built, fresh: Built) -> Model:
    """All parameters and buffers of a trained model but those that are as the network's file has them.

    Args:
        built: the trained model.
        fresh: the same before its training.
    """
    before, frozen = fresh.module.state_dict(), _pretrained_names(fresh)
    return Model(
        {
            name: tensor.detach().cpu()
            for name, tensor in built.module.state_dict().items()
            if not (name in frozen and torch.equal(tensor.cpu(), before[name].cpu()))
        }
    )


def from_model(model: Model, settings: Settings, weights: Mapping[str, Path]) -> Built:
    """A trained model on the CPU, as it scores.

    Raises:
        InputError: the model's file holds other tensors than such a model has.
    """
    built = build(settings, weights)
    restore(built, model.tensors)
    return built


def restore(built: Built, tensors: Mapping[str, Tensor]) -> None:
    """Put stored tensors into a model, which then scores.

    Raises:
        InputError: they are none of such a model.
    """
    expected, frozen = built.module.state_dict(), _pretrained_names(built)
    missing = sorted(set(expected) - set(tensors) - frozen)
    unexpected = sorted(set(tensors) - set(expected))
    try:
        if missing or unexpected:
            raise ValueError(f"{'no' if missing else 'also'} {(missing or unexpected)[0]}")
        # All of them, since some buffers get their size from what is loaded.
        built.module.load_state_dict({**expected, **tensors})
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"trained model: expected one of {type(built.module).__name__} with these settings, found another "
            f"({reason}); train it again"
        ) from None
    built.module.requires_grad_(False).eval()


def _pretrained_names(built: Built) -> set[str]:
    """Names of the tensors whose values come from the network's file."""
    networks = set(built.pretrained)
    return {
        f"{place}.{name}"
        for place, module in built.module.named_modules()
        if module in networks
        for name in module.state_dict()
    }
