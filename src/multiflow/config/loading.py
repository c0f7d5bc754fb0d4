"""From files and from what Snakemake hands over to a validated configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from multiflow.config.problems import problem_lines
from multiflow.config.run import Config
from multiflow.errors import InputError

__all__ = ["load_config", "read_overlays"]


def load_config(values: Mapping[str, Any], source: str = "config") -> Config:
    """Validate a configuration.

    Args:
        values: the merged configuration, as Snakemake hands it over.
        source: name of the file in messages.

    Raises:
        InputError: one line per wrong key: place, what was expected, what was found.
    """
    merged = deepcopy(dict(values))
    experiments = merged.get("experiments")
    if isinstance(experiments, Mapping):
        merged["experiments"] = {name: value for name, value in experiments.items() if value is not None}
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise InputError([f"{source}: {line}" for line in problem_lines(error)]) from None


def read_overlays(paths: Sequence[Path]) -> dict[str, Any]:
    """Read configuration files, each laid over those before it key by key, as Snakemake does.

    Raises:
        InputError: a file is missing or no mapping in YAML.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except (OSError, yaml.YAMLError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path}: expected a configuration in YAML, cannot read it ({reason})") from None
        if not isinstance(values, dict):
            raise InputError(f"{path}: expected keys and values, found {type(values).__name__}")
        _lay_over(merged, values)
    return merged


def _lay_over(below: dict[str, Any], above: Mapping[str, Any]) -> None:
    for key, value in above.items():
        if isinstance(value, Mapping) and isinstance(below.get(key), dict):
            _lay_over(below[key], value)
        else:
            below[key] = value
