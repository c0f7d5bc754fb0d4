"""What a method gives is checked where it is given: a mistake of its author is one line that names it."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from multiflow.base.errors import InputError
from multiflow.methods.contract import Method, Model, Needs, Scores

if TYPE_CHECKING:
    import pandas as pd

    from multiflow.base.settings import Block
    from multiflow.methods.experiment import Experiment

__all__ = ["check_samples", "checked_model", "checked_needs", "checked_number", "checked_scorer"]


def checked_needs(experiment: str, method: Method, settings: Block) -> Needs:
    """What an experiment's method reads of a sample.

    Args:
        experiment: its name, for the error.
        method: its method.
        settings: an object of the method's ``Settings``.

    Raises:
        InputError: the method gives no :class:`multiflow.methods.contract.Needs`, or raises.
    """

    def wrong(expected: str, found: str, remedy: str = "correct the method's needs") -> InputError:
        return InputError(
            f"experiments.{experiment}: needs of its method: expected {expected}, found {found}; {remedy}"
        )

    try:
        found: Any = method.needs(settings)
    except Exception as error:  # the method is somebody's own, and may fail in any way
        raise wrong("an object of Needs", f"{type(error).__name__}: {error}") from error
    if not isinstance(found, Needs):
        raise wrong("an object of Needs", _kind(found))
    features: Any = found.features
    images: Any = found.images
    foreground: Any = found.foreground
    if isinstance(features, str):
        raise wrong(
            "features as a tuple of texts",
            f"the text {features!r}",
            f"write Needs(features=({features!r},)), with the comma",
        )
    if not isinstance(features, tuple) or not all(isinstance(name, str) for name in features):
        raise wrong("features as a tuple of texts", repr(features))
    if images is not None and (isinstance(images, bool) or not isinstance(images, int) or images < 8):
        raise wrong("images as a side of at least 8 px, or None", repr(images))
    if not isinstance(foreground, bool):
        raise wrong("foreground as True or False", repr(foreground))
    return found


def check_samples(experiments: Iterable[Experiment], class_name: str, frame: pd.DataFrame) -> None:
    """Refuse a training set that is too small for a method before features are extracted for it.

    Args:
        experiments: those that are trained on the class.
        class_name: the class.
        frame: its samples table.

    Raises:
        InputError: a line for all experiments with the same problem.
    """
    train, problems = frame[frame["split"] == "train"], dict[str, list[str]]()
    samples, views = train["sample"].nunique(), train["camera"].nunique()
    for experiment in experiments:
        check = getattr(experiment.method, "check_samples", None)
        if check is not None:
            try:
                check(experiment.settings, samples, views, class_name)
            except InputError as error:
                for problem in error.problems:
                    problems.setdefault(problem, []).append(experiment.name)
    if problems:
        raise InputError([f"{', '.join(names)} on {problem}" for problem, names in problems.items()])


def checked_model(found: Any, place: str, reserved: Collection[str] = ()) -> Model:
    """What a training left.

    Args:
        found: what the method's ``train`` returned.
        place: experiment and class, for the error.
        reserved: names of metadata that are not the method's.

    Raises:
        InputError: it is not what :class:`multiflow.methods.contract.Model` describes.
    """
    import torch

    def wrong(expected: str, found: str, remedy: str = "correct the method's train") -> InputError:
        return InputError(f"{place}: train: expected {expected}, found {found}; {remedy}")

    if not isinstance(found, Model):
        raise wrong("an object of Model", _kind(found))
    tensors: Any = found.tensors
    metadata: Any = found.metadata
    if not isinstance(tensors, Mapping):
        raise wrong("tensors by name", _kind(tensors))
    for name, tensor in tensors.items():
        if not isinstance(name, str):
            raise wrong("tensors with texts as names", f"the name {name!r}")
        if not isinstance(tensor, torch.Tensor):
            raise wrong(f"a tensor {name} of torch", _kind(tensor), "torch.as_tensor makes one of an array")
        if tensor.layout != torch.strided:
            raise wrong(f"a dense tensor {name}", str(tensor.layout), "call its to_dense()")
    if not isinstance(metadata, Mapping):
        raise wrong("metadata by name", _kind(metadata))
    if taken := sorted(set(metadata) & set(reserved), key=str):
        raise wrong("metadata of other names than those of every model", ", ".join(map(str, taken)), "rename them")
    try:
        json.dumps(dict(metadata), sort_keys=True)
    except (TypeError, ValueError, RecursionError) as error:
        raise wrong(
            "metadata that JSON can hold", str(error), "store arrays as tensors and numbers as floats"
        ) from None
    return found


def checked_scorer(found: Any, place: str) -> Callable[[Any], Scores]:
    """The function that scores a sample.

    Args:
        found: what the method's ``scorer`` returned.
        place: experiment and class, for the error.

    Raises:
        InputError: it cannot be called.
    """
    if not callable(found):
        raise InputError(
            f"{place}: scorer: expected a function that scores one sample, found {_kind(found)}; correct the method's "
            "scorer"
        )
    scorer: Callable[[Any], Scores] = found
    return scorer


def checked_number(value: Any, place: str) -> float:
    """A number of Python, also of one that NumPy or torch holds.

    Args:
        value: what the method noted.
        place: what it is, for the error.

    Raises:
        InputError: it is no single number.
    """
    try:
        number = value.item() if hasattr(value, "item") else value
    except (TypeError, ValueError, RuntimeError):  # an array of several
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise InputError(f"{place}: expected a number, found {value!r:.60}; give a float")
    return number


def _kind(found: Any) -> str:
    return "None" if found is None else f"an object of type {type(found).__name__}"
