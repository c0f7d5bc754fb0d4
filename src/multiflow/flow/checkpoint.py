"""A trained flow as one safetensors file that knows its architecture."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from multiflow.errors import InputError
from multiflow.flow.model import MultiFlow
from multiflow.store import atomic_path
from multiflow.views import CameraGraph

__all__ = ["load_flow", "read_header", "save_flow"]

_FORMAT = "multiflow.flow.1"
_PROBLEMS = 5


def save_flow(
    path: str | Path,
    flow: MultiFlow,
    metadata: Mapping[str, Any] | None = None,
    extra: Mapping[str, Tensor] | None = None,
) -> None:
    """Write the flow's parameters, permutations and architecture; the file appears whole or not at all.

    The same flow, metadata and extra tensors give the same bytes.

    Args:
        metadata: what a reader should know about the run, as values that JSON can hold.
        extra: further tensors, such as an optimizer's state.
    """
    tensors = {f"flow.{name}": tensor.detach().contiguous() for name, tensor in flow.state_dict().items()}
    tensors |= {f"extra.{name}": tensor.detach().contiguous() for name, tensor in (extra or {}).items()}
    # One key: the order of several isn't the same in every process.
    header = {"format": _FORMAT, "architecture": flow.architecture(), "metadata": dict(metadata or {})}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"multiflow": json.dumps(header, sort_keys=True)})


def read_header(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the architecture and the metadata of a flow's file, without reading its tensors.

    Raises:
        InputError: no such file, a truncated or foreign file.
    """
    with _opened(path) as file:
        text = (file.metadata() or {}).get("multiflow")
    try:
        header = json.loads(text or "{}")
    except ValueError as error:
        raise InputError(f"{path}: metadata: expected JSON, found other text ({error}): train the flow again") from None
    found = header.get("format") if isinstance(header, dict) else header
    if found != _FORMAT:
        raise InputError(f"{path}: format: expected {_FORMAT}, found {found!r:.60}: give a flow's file")
    for name in ("architecture", "metadata"):
        if not isinstance(header.get(name), dict):
            raise InputError(
                f"{path}: {name}: expected an object, found {header.get(name)!r:.60}: train the flow again"
            )
    return header["architecture"], header["metadata"]


def load_flow(
    path: str | Path, *, expected: Mapping[str, Any] | None = None
) -> tuple[MultiFlow, dict[str, Tensor], dict[str, Any]]:
    """Return the flow, the extra tensors and the metadata that `save_flow` wrote, on the CPU.

    Args:
        expected: values that the architecture must have, for example ``flow.architecture()`` or
            ``{"channels": 304, "views": 5}``.

    Raises:
        InputError: no such file, a truncated or foreign file, or another architecture than expected.
    """
    architecture, metadata = read_header(path)
    problems = [
        f"{path}: {name}: expected {value}, found {architecture.get(name)}: train it again"
        for name, value in (expected or {}).items()
        if not _same(architecture.get(name), value)
    ]
    if problems:
        raise InputError(problems)
    flow = _build(path, architecture)
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a mapping)
    state = {name.removeprefix("flow."): tensor for name, tensor in tensors.items() if name.startswith("flow.")}
    own = flow.state_dict()
    problems = [f"{path}: {name}: expected a tensor, found none" for name in own.keys() - state.keys()]
    problems += [f"{path}: {name}: expected no such tensor, found one" for name in state.keys() - own.keys()]
    for name in own.keys() & state.keys():
        if own[name].shape != state[name].shape:
            problems.append(f"{path}: {name}: expected {list(own[name].shape)}, found {list(state[name].shape)}")
        elif own[name].is_floating_point() != state[name].is_floating_point():
            problems.append(f"{path}: {name}: expected {own[name].dtype}, found {state[name].dtype}")
    if not problems and not torch.equal(state["permutations"].sort().values, own["permutations"].sort().values):
        problems.append(f"{path}: permutations: expected orders of {flow.channels} channels, found other numbers")
    if problems:
        raise InputError(_listed(sorted(problems)))
    flow.load_state_dict(state, assign=True)
    extra = {name.removeprefix("extra."): tensor for name, tensor in tensors.items() if name.startswith("extra.")}
    return flow, extra, metadata


@contextmanager
def _opened(path: str | Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise InputError(f"{path}: expected a flow, found no file: train it first") from None
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{path}: expected a whole safetensors file, found one that can't be read ({reason}): "
            "delete it and train the flow again"
        ) from None


def _same(found: Any, expected: Any) -> bool:
    if isinstance(expected, float):
        return isinstance(found, int | float) and math.isclose(found, expected, rel_tol=1e-12)
    return bool(found == expected)


def _build(path: str | Path, architecture: Mapping[str, Any]) -> MultiFlow:
    options = {name: value for name, value in architecture.items() if name not in ("channels", "views", "neighbors")}
    try:
        graph = CameraGraph(tuple(tuple(senders) for senders in architecture["neighbors"]))
        # Every value is replaced afterwards; a generator of its own leaves the global one alone.
        return MultiFlow(architecture["channels"], graph, **options, generator=torch.Generator())
    except (InputError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: architecture: expected one that a flow can be built of, found "
            f"{json.dumps(architecture):.200} ({type(error).__name__}: {' '.join(str(error).split())}): "
            "train the flow again"
        ) from None


def _listed(problems: list[str]) -> list[str]:
    """The first problems: a file of another architecture has hundreds."""
    more = len(problems) - _PROBLEMS
    return problems[:_PROBLEMS] + ([f"{problems[0].split(': ')[0]}: and {more} more problems"] if more > 0 else [])
