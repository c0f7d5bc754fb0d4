"""A trained flow as a model that knows its architecture, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from multiflow.base.errors import InputError
from multiflow.methods.contract import Model
from multiflow.methods.multiflow.camera_graph import CameraGraph
from multiflow.methods.multiflow.inputs import Scaling
from multiflow.methods.multiflow.network import MultiFlow
from multiflow.methods.multiflow.settings import Network

__all__ = ["from_model", "to_model"]

_PROBLEMS = 5


def to_model(flow: MultiFlow, scaling: Scaling, metadata: Mapping[str, Any] | None = None) -> Model:
    """The flow's parameters, permutations and architecture, and the scaling of the features that it sees.

    Args:
        metadata: what a reader should know beside the ``architecture``, as values that JSON can hold.
    """
    tensors = {f"flow.{name}": tensor for name, tensor in flow.state_dict().items()}
    tensors |= {"scaling.mean": scaling.mean, "scaling.std": scaling.std}
    return Model(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
        {"architecture": flow.architecture(), **(metadata or {})},
    )


def from_model(model: Model, place: str | Path) -> tuple[MultiFlow, Scaling]:
    """A trained flow in evaluation mode on the CPU, with the scaling of the features that it was trained on.

    Args:
        model: what :func:`to_model` returned.
        place: where it comes from, for messages.

    Raises:
        InputError: it is no flow, or its tensors are not those of its architecture.
    """
    flow = _build(place, model.metadata.get("architecture"))
    own = {f"flow.{name}": tensor for name, tensor in flow.state_dict().items()}
    own |= dict.fromkeys(("scaling.mean", "scaling.std"), torch.empty(flow.channels))
    problems = _differences(place, model.tensors, own)
    if not problems:
        order = model.tensors["flow.permutations"]
        if not torch.equal(order.sort().values, own["flow.permutations"].sort().values):
            problems = [f"{place}: permutations: expected orders of {flow.channels} channels, found other numbers"]
    if problems:
        raise InputError(_listed(place, sorted(problems)))
    flow.load_state_dict({name: model.tensors[f"flow.{name}"] for name in flow.state_dict()}, assign=True)
    return flow.eval(), Scaling(model.tensors["scaling.mean"], model.tensors["scaling.std"])


def _build(place: str | Path, architecture: Any) -> MultiFlow:
    if not isinstance(architecture, dict):
        raise InputError(f"{place}: architecture: expected an object, found {architecture!r:.60}: give a trained flow")
    try:
        values = dict(architecture)
        channels = values.pop("channels")
        graph = CameraGraph(tuple(tuple(senders) for senders in values.pop("neighbors")))
        # Every value is replaced afterwards; a generator of its own leaves the global one alone.
        return MultiFlow(channels, graph, Network(**values), generator=torch.Generator())
    except (InputError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{place}: architecture: expected one that a flow can be built of, found "
            f"{json.dumps(architecture):.200} ({type(error).__name__}: {_reason(error)}): train the flow again"
        ) from None


def _reason(error: Exception) -> str:
    """What is wrong, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return ": ".join([*map(str, first["loc"]), first["msg"].removeprefix("Value error, ")])
    return " ".join(str(error).split())


def _differences(place: str | Path, found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[str]:
    problems = [f"{place}: {name}: expected a tensor, found none" for name in expected.keys() - found.keys()]
    problems += [f"{place}: {name}: expected no such tensor, found one" for name in found.keys() - expected.keys()]
    for name in expected.keys() & found.keys():
        if expected[name].shape != found[name].shape:
            shapes = list(expected[name].shape), list(found[name].shape)
            problems.append(f"{place}: {name}: expected {shapes[0]}, found {shapes[1]}")
        elif expected[name].is_floating_point() != found[name].is_floating_point():
            problems.append(f"{place}: {name}: expected {expected[name].dtype}, found {found[name].dtype}")
    return problems


def _listed(place: str | Path, problems: list[str]) -> list[str]:
    """The first problems: a model of another architecture has hundreds."""
    more = len(problems) - _PROBLEMS
    return problems[:_PROBLEMS] + ([f"{place}: and {more} more problems"] if more > 0 else [])
