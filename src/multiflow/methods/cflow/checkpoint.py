"""Trained decoders as a model, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.methods.cflow.decoder import Decoders, Shape
from multiflow.methods.cflow.settings import Decoder
from multiflow.methods.contract import Model

__all__ = ["from_model", "to_model"]

_MAXIMUM = "maximum"


def to_model(decoders: Decoders, maximum: Tensor) -> Model:
    """The decoders' parameters and rotations, and the highest log-likelihoods of the training set.

    Args:
        decoders: after the training.
        maximum: of each level [L].
    """
    tensors = {f"decoders.{name}": tensor.detach().cpu() for name, tensor in decoders.state_dict().items()}
    architecture = {"shapes": decoders.shapes, "decoder": decoders.settings.model_dump(mode="json")}
    return Model({**tensors, _MAXIMUM: maximum}, {"architecture": architecture})


def from_model(model: Model, shapes: Sequence[Shape], place: str) -> tuple[Decoders, Tensor]:
    """Trained decoders on the CPU, and the highest log-likelihoods of their training set [L].

    Args:
        model: what the training left.
        shapes: of the levels that they will see.
        place: which encoder gives those, at which size, for the message.

    Raises:
        InputError: the model holds other tensors than its architecture has, or decoders of other levels.
    """
    architecture: Any = model.metadata.get("architecture")
    try:
        own_shapes = [(int(channels), int(height), int(width)) for channels, height, width in architecture["shapes"]]
        decoders = Decoders(own_shapes, Decoder.model_validate(architecture["decoder"]))
        own = {name.removeprefix("decoders."): tensor for name, tensor in model.tensors.items() if name != _MAXIMUM}
        decoders.load_state_dict(own, assign=True)
        maximum = model.tensors[_MAXIMUM].to(torch.float64)
        if maximum.shape != (len(own_shapes),):
            raise ValueError(f"{_MAXIMUM}: expected {len(own_shapes)} numbers, found {list(maximum.shape)}")
    except (KeyError, TypeError, ValueError, RuntimeError, ValidationError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"trained decoders: expected a model of CFLOW-AD, found another one ({type(error).__name__}: {reason}); "
            "train it again"
        ) from None
    if own_shapes != list(shapes):
        raise InputError(
            f"trained decoders: expected those of levels {list(shapes)}, which {place} gives, found those of "
            f"{own_shapes}; train them again"
        )
    return decoders.requires_grad_(False).eval(), maximum
