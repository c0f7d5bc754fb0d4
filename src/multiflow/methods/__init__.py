"""The methods by name. One of anybody's own needs no line here: the configuration names it by its import path."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from multiflow.base.errors import InputError
from multiflow.base.paths import expand_path
from multiflow.base.settings import Block
from multiflow.methods.contract import Method

__all__ = ["METHODS", "load_method"]

METHODS = {
    "multiflow": "multiflow.methods.multiflow:MultiFlowMethod",
    "cflow": "multiflow.methods.cflow:CflowMethod",
    "anomalib": "multiflow.methods.anomalib:AnomalibMethod",
    "clscnf": "multiflow.methods.clscnf:ClscnfMethod",
    "multiscale": "multiflow.methods.multiscale:MultiScaleMethod",
    "softpatch": "multiflow.methods.softpatch:SoftPatchMethod",
    "simplenet": "multiflow.methods.simplenet:SimpleNetMethod",
}
"""Name in the configuration and import path. A module here is read at every start: keep it light."""

_REQUIRED = ("heading", "reference", "Settings", "needs", "train", "scorer")
_ADVICE = f"give one of {', '.join(METHODS)}, or a class as package.module:Class or folder/file.py:Class"


@cache
def load_method(name: str) -> Method:
    """The method of a registered name or an import path.

    Raises:
        InputError: there is none of that name, it cannot be imported, or it is no method.
    """
    path = METHODS.get(name, name)
    place, _, attribute = path.rpartition(":")
    if not place or not attribute:
        raise InputError(f"method: there is no {name}; {_ADVICE}")
    try:
        module = _module_of_file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except (Exception, SystemExit) as error:  # the module is somebody's own, and may fail in any way
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"method: {name}: cannot be imported ({reason}); {_ADVICE}") from error
    found: Any = getattr(module, attribute, None)
    if found is None:
        raise InputError(f"method: {name}: {module.__file__} has no {attribute}; {_ADVICE}")
    if not inspect.isclass(found):
        raise InputError(f"method: {name}: expected a class, found an object of type {type(found).__name__}; {_ADVICE}")
    missing = [part for part in _REQUIRED if not hasattr(found, part)]
    if missing:
        raise InputError(
            f"method: {name}: expected a class with {', '.join(_REQUIRED)}, found no {', '.join(missing)}; "
            "docs/architecture.md shows a whole method"
        )
    _check_parts(name, found)
    try:
        return cast(Method, found())
    except (Exception, SystemExit) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(
            f"method: {name}: expected a class that takes no arguments, found one that cannot be made so ({reason}); "
            "its Settings hold what it needs"
        ) from error


def _check_parts(name: str, found: Any) -> None:
    """Check what the parts of a method's class are.

    Raises:
        InputError: one is of the wrong kind, or its settings have names that an experiment uses for something else.
    """
    for part in ("heading", "reference"):
        value = getattr(found, part)
        if not isinstance(value, str) or not value.strip():
            raise InputError(f"method: {name}: expected {part} to be a text, found {value!r:.60}; correct the class")
    for part in ("needs", "train", "scorer"):
        if not callable(getattr(found, part)):
            raise InputError(f"method: {name}: expected {part} to be a function, found {getattr(found, part)!r:.60}")
    if not (isinstance(found.Settings, type) and issubclass(found.Settings, Block)):
        raise InputError(
            f"method: {name}: expected Settings to be a class that extends multiflow.base.settings.Block, found "
            f"{found.Settings!r}"
        )
    # The configuration imports this module.
    from multiflow.config.blocks import ExperimentEntry

    if taken := [field for field in found.Settings.model_fields if field in ExperimentEntry.model_fields]:
        raise InputError(
            f"method: {name}: expected Settings without the keys of every experiment, found {', '.join(taken)}; rename "
            f"{'it' if len(taken) == 1 else 'them'}"
        )


def _module_of_file(path: Path) -> ModuleType:
    """A module that lies on no import path, under a name that no other file's has."""
    path = Path(expand_path(str(path))).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    name = f"method_of_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    specification = importlib.util.spec_from_file_location(name, path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # Worker processes and pickles look it up by its name.
    sys.modules[name] = module
    try:
        with _beside(path.parent):
            specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


_helpers: dict[str, Path] = {}
"""Modules that were found beside the file of a method, and their folder."""


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Let the modules of a folder be imported, behind all others."""
    if any(Path(entry).resolve() == folder for entry in sys.path):
        yield
        return
    # A module of the same name beside another method would be taken in place of this folder's.
    for name in [name for name, other in _helpers.items() if other != folder]:
        sys.modules.pop(name, None)
        del _helpers[name]
    known = set(sys.modules)
    importlib.invalidate_caches()
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - known:
            file = getattr(sys.modules.get(name.partition(".")[0]), "__file__", None)
            if file is not None and folder in Path(file).resolve().parents[:2]:
                _helpers[name] = folder
