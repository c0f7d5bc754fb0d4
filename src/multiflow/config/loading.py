"""From files and from what Snakemake hands over to a validated configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path
from multiflow.base.text import read_json, read_yaml
from multiflow.config.problems import problem_lines
from multiflow.config.run import Config, merge

__all__ = ["check_files", "load_config", "read_overlays", "write_configuration"]

_NULLS = ("null", "Null", "NULL", "~", "")
_DROPPABLE = ("experiments", "features", "methods")


def check_files(paths: Iterable[str | Path]) -> None:
    """Check configuration files for what is lost when Snakemake has read them: a key that is there twice.

    Raises:
        InputError: a line for each such key of a file.
    """
    for path in map(Path, paths):
        if path.is_file():
            if path.suffix == ".json":
                read_json(path, "a configuration in JSON")
            else:
                read_yaml(path, "a configuration in YAML")


def load_config(values: Mapping[str, Any], source: str = "config") -> Config:
    """Validate a configuration.

    Args:
        values: the merged configuration, as Snakemake hands it over.
        source: name of the file in messages.

    Raises:
        InputError: one line per wrong key: place, what was expected, what was found.
    """
    merged = _with_nulls(merge({}, values))
    for block in _DROPPABLE:
        if isinstance(merged.get(block), Mapping):
            names = [*(name for name in _base_order(block) if name in merged[block]), *merged[block]]
            merged[block] = {name: merged[block][name] for name in names if merged[block][name] is not None}
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise InputError([f"{source}: {line}" for line in problem_lines(error)]) from None


def _with_nulls(value: Any) -> Any:
    """Snakemake hands the null of a ``--config`` over as the text, with which no key can be meant."""
    if isinstance(value, Mapping):
        return {key: _with_nulls(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_with_nulls(entry) for entry in value]
    return None if value in _NULLS else value


@cache
def _base_order(block: str) -> list[str]:
    """Names in a block of ``config/config.yaml``, in its order.

    Snakemake hands an overlay's names over before those of the file below it. The order counts: the first experiment is
    what others are held against and whose models they share, the first method that of experiments that name none.
    """
    base = Path(__file__).parents[3] / "config" / "config.yaml"
    return list(yaml.safe_load(base.read_text(encoding="utf-8")).get(block) or ()) if base.is_file() else []


def write_configuration(values: Mapping[str, Any], folder: Path, latest: bool = False) -> Path:
    """Write a run's whole configuration beside its results, under a name that is made of its content.

    It is never overwritten, so that the command in each run's JSON can name it.

    Args:
        values: the merged configuration, as Snakemake hands it over.
        folder: of the run.
        latest: write it as ``configuration.yaml``, too, which ``make tables`` reads.

    Returns:
        The file.
    """
    # The order counts: no sorting.
    text = yaml.safe_dump(_plain(values), sort_keys=False, allow_unicode=True)
    named = folder / "configurations" / f"{hashlib.sha256(text.encode()).hexdigest()[:12]}.yaml"
    for path in (named, *([folder / "configuration.yaml"] if latest else [])):
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            with atomic_path(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
    return named


def _plain(values: Any) -> Any:
    """The same of Python's own classes, since YAML does not know Snakemake's; a key that is a number stays one."""
    if isinstance(values, Mapping):
        return {key: _plain(value) for key, value in values.items()}
    return [_plain(value) for value in values] if isinstance(values, list | tuple) else values


def read_overlays(paths: Sequence[Path]) -> dict[str, Any]:
    """Read configuration files, each laid over those before it key by key, as Snakemake does.

    Raises:
        InputError: a file is missing or no mapping in YAML.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        values = read_yaml(path, "a configuration in YAML")
        if not isinstance(values, dict):
            raise InputError(f"{path}: expected keys and values, found {type(values).__name__}")
        merge(merged, values)
    return merged
