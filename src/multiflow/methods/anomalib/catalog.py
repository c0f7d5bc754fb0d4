"""The models of anomalib and their settings, read from the library's source: importing it takes seconds and torch.

What the library says of a model is the model's own signature, so that a new one needs no line here. ``models.csv`` says
what a signature can't: how a model is cited, and which of them a benchmark cannot take, with the reason.
"""

from __future__ import annotations

import ast
import collections.abc
import csv
import difflib
import importlib.util
import pathlib
import typing
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from multiflow.base.errors import InputError

__all__ = ["Entry", "Parameter", "checked_settings", "entry", "model_names", "network_parameter", "parameters"]

# What this adapter decides itself: pictures are prepared and scores taken by it, and weights are files of the run.
_DECIDED = {"self", "pre_processor", "post_processor", "evaluator", "visualizer", "pre_trained"}
# Parameters that name a network of timm, by how the library's models call them.
_NETWORKS = ("backbone", "encoder_name")
_KNOWN_TYPES = {"Sequence": collections.abc.Sequence, "Path": pathlib.Path, "Literal": typing.Literal}


@dataclass(frozen=True)
class Entry:
    """What this package knows of a model beside its signature.

    Args:
        heading: its name in tables.
        reference: how it is cited.
        refused: why a benchmark cannot take it; empty where it can.
    """

    heading: str
    reference: str
    refused: str = ""


@dataclass(frozen=True)
class Parameter:
    """One argument of a model.

    Args:
        annotation: its type, as far as it can be known without importing the library.
        default: its default, as it is written.
        required: whether it has none.
    """

    annotation: Any
    default: str = ""
    required: bool = False


def entry(model: str) -> Entry:
    """How a model is called and cited; one that is not listed by its own name and the library's reference."""
    return _entries().get(model, Entry(model, f"anomalib's {model}"))


@cache
def _entries() -> dict[str, Entry]:
    with (files("multiflow.methods.anomalib") / "models.csv").open(encoding="utf-8") as stream:
        return {
            row["model"]: Entry(row["heading"], row["reference"] or f"anomalib's {row['model']}", row["refused"])
            for row in csv.DictReader(stream)
        }


@cache
def _sources() -> dict[str, Path]:
    """The file of each model of pictures, by its class."""
    found = importlib.util.find_spec("anomalib")
    if found is None or not found.submodule_search_locations:
        raise InputError("anomalib is not installed: make env")
    folder = Path(found.submodule_search_locations[0]) / "models" / "image"
    tree = ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))
    return {
        name.name: folder / node.module / "lightning_model.py"
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 1
        for name in node.names
    }


def model_names() -> list[str]:
    """All models that work on pictures, those that are refused included."""
    return sorted(_sources())


@cache
def parameters(model: str) -> dict[str, Parameter]:
    """The settings of a model, by name.

    Raises:
        InputError: the library has no such model.
    """
    if model not in _sources():
        close = difflib.get_close_matches(model, model_names(), n=1, cutoff=0.5)
        raise InputError(
            f"model: anomalib has no {model}{f' (did you mean {close[0]}?)' if close else ''}; it has "
            f"{', '.join(name for name in model_names() if not entry(name).refused)}"
        )
    tree = ast.parse(_sources()[model].read_text(encoding="utf-8"))
    found = {
        function.name: function
        for node in tree.body
        if isinstance(node, ast.ClassDef) and node.name == model
        for function in node.body
        if isinstance(function, ast.FunctionDef)
    }
    if "__init__" not in found:
        return {}
    arguments = found["__init__"].args
    named = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(arguments.defaults)) + list(arguments.defaults)
    pairs = [*zip(named, defaults, strict=True), *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    return {
        argument.arg: Parameter(
            _annotation(argument.annotation), "" if default is None else ast.unparse(default), default is None
        )
        for argument, default in pairs
        if argument.arg not in _DECIDED
    }


def checked_settings(model: str, settings: dict[str, Any]) -> dict[str, Any]:
    """A model's settings, with values of the types that it asks for.

    Raises:
        InputError: there is no such model, it is refused, or it has no such setting or takes no such value.
    """
    known = parameters(model)
    if reason := entry(model).refused:
        raise InputError(f"model: {model} of anomalib cannot be taken: {reason}")
    listed = ", ".join(f"{name}={known[name].default}" if known[name].default else name for name in known)
    if unknown := sorted(set(settings) - set(known)):
        raise InputError(f"settings: {model} of anomalib has no {', '.join(unknown)}; it has {listed or 'none'}")
    fields: dict[str, Any] = {
        name: (parameter.annotation, ... if parameter.required else None) for name, parameter in known.items()
    }
    block: type[BaseModel] = create_model(
        model, __config__=ConfigDict(strict=False, protected_namespaces=(), arbitrary_types_allowed=True), **fields
    )
    try:
        return block.model_validate(settings).model_dump(exclude_unset=True)
    except ValidationError as error:
        problem = error.errors()[0]
        name = str(problem["loc"][0])
        raise InputError(
            f"settings.{name}: {model} of anomalib: {problem['msg']}, found {problem.get('input')!r:.60}; its settings "
            f"are {listed}"
        ) from None


def network_parameter(model: str) -> tuple[str, str] | None:
    """The setting that names the network which a model runs, and its default; None where it has none."""
    known = parameters(model)
    name = next((name for name in _NETWORKS if name in known), None)
    return None if name is None else (name, known[name].default.strip("'\""))


def _annotation(node: ast.expr | None) -> Any:
    """The type that an annotation means; what is defined in the library itself may be anything."""
    if node is None:
        return Any
    try:
        return eval(  # of an installed package's annotation, with nothing but types at hand
            compile(ast.Expression(node), "annotation", "eval"), {"__builtins__": {}}, _Types()
        )
    except (TypeError, AttributeError):
        return Any


class _Types(dict[str, Any]):
    """Names in annotations."""

    def __missing__(self, name: str) -> Any:
        plain = {kind.__name__: kind for kind in (str, int, float, bool, list, tuple, dict)}
        return {**plain, **_KNOWN_TYPES}.get(name, Any)
