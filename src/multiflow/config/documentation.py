"""Write config/schema.json and docs/keys.md from the settings beside each station and method (`make schema`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from multiflow.base.files import atomic_path
from multiflow.base.settings import Compute
from multiflow.config.blocks import ExperimentEntry, Keep, Tables
from multiflow.config.run import Config
from multiflow.datasets.settings import Dataset
from multiflow.features.settings import FeatureSet
from multiflow.foreground.settings import Foreground, Segmentation
from multiflow.methods import METHODS, load_method
from multiflow.metrics.settings import Evaluation
from rendered_parts.settings import Rendering

__all__ = ["blocks", "key_tables", "schema"]

_TOP = """\
# Keys of the configuration

Written by `make schema` from the settings beside each station and method; [config/README.md](../config/README.md) says
how the files are used. A number after "Fidelity" is a row of [fidelity.md](fidelity.md).
"""

_RUN: dict[str, type[BaseModel]] = {
    "dataset": Dataset,
    "rendering": Rendering,
    "features.<name>": FeatureSet,
    "segmentation": Segmentation,
    "foreground": Foreground,
    "compute": Compute,
    "evaluation": Evaluation,
    "keep": Keep,
    "tables": Tables,
    "experiments.<name>": ExperimentEntry,
}

_CHANGED: dict[str, type[BaseModel]] = {"foreground": Foreground, "evaluation": Evaluation, "compute": Compute}
"""Blocks of which an experiment may change a few values."""


def blocks() -> dict[str, type[BaseModel]]:
    """All blocks by their place in YAML: those of the run, then of each registered method with its nested blocks.

    A block that two methods share is at the place of the first of them.
    """
    found = dict(_RUN)
    for name in METHODS:
        nested = _nested(f"methods.{name}", load_method(name).Settings)
        found |= {place: model for place, model in nested.items() if model not in found.values()}
    return found


def key_tables() -> str:
    """A page in Markdown with a table per block: key, values, default, meaning."""
    named = {place.split(".")[0] for place in _RUN}
    top = [name for name in Config.model_fields if name not in named]
    parts = [_TOP, _section("Top level", Config, top)]
    sections = blocks()
    for place, model in sections.items():
        own = [name for name in model.model_fields if f"{place}.{name}" not in sections]
        parts.append(_section(f"`{place}`", model, own))
    return "\n".join(parts)


def schema() -> str:
    """JSON schema of a configuration file, for editors that complete and check YAML.

    A file may hold a part of a configuration, since others are laid over each other: nothing is required, and what can
    be dropped may be null.
    """
    methods = {name: load_method(name).Settings for name in METHODS}
    models: list[type[BaseModel]] = [Config, *_CHANGED.values(), *methods.values()]
    references, document = models_json_schema(
        [(model, "validation") for model in models], title="Configuration of Multi-Flow Bench"
    )
    definitions = document["$defs"]

    def of(model: type[BaseModel]) -> dict[str, Any]:
        return references[(model, "validation")]

    top = definitions.pop(of(Config)["$ref"].rsplit("/", 1)[-1])
    top["properties"]["methods"] |= {
        "properties": {name: _or_null(of(model)) for name, model in methods.items()},
        "additionalProperties": {"anyOf": [{"type": "object"}, {"type": "null"}]},
    }
    entry = definitions["ExperimentEntry"]["properties"]
    for name, model in _CHANGED.items():
        entry[name] = {"description": entry[name]["description"], **of(model)}
    for name in ("features", "experiments"):
        patterns = top["properties"][name]["patternProperties"]  # by the form of a name
        patterns |= {pattern: _or_null(value) for pattern, value in patterns.items()}
    return json.dumps(_loosened(document | top), indent=2) + "\n"


def _or_null(entry: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [entry, {"type": "null"}]}


def _loosened(entry: Any) -> Any:
    """A schema that a part of a configuration fulfils, without the marks of this program."""
    if isinstance(entry, list):
        return [_loosened(value) for value in entry]
    if not isinstance(entry, dict):
        return entry
    return {
        key: _loosened(value)
        for key, value in entry.items()
        if not (key == "required" and isinstance(value, list)) and not (key == "decides" and isinstance(value, str))
    }


def _nested(place: str, model: type[BaseModel]) -> dict[str, type[BaseModel]]:
    """A block and those inside it, by place."""
    found = {place: model}
    for name, field in model.model_fields.items():
        if (inner := _block(field)) is not None:
            found |= _nested(f"{place}.{name}", inner)
        if (entry := _entry(field)) is not None:
            found |= _nested(f"{place}.{name}.<name>", entry)
    return found


def _block(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a block."""
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _entry(field: FieldInfo) -> type[BaseModel] | None:
    """The model of the entries of a field that maps names to blocks."""
    kind = get_args(field.annotation)[-1] if get_origin(field.annotation) is dict else None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _section(heading: str, model: type[BaseModel], names: list[str]) -> str:
    properties: Mapping[str, Any] = model.model_json_schema()["properties"]
    summary = (model.__doc__ or "").strip().splitlines()[0]
    rows = [f"## {heading}", "", summary, "", "| key | values | default | meaning |", "| --- | --- | --- | --- |"]
    for name in names:
        field = model.model_fields[name]
        default = "required" if field.is_required() else f"`{_yaml(field.get_default(call_default_factory=False))}`"
        rows.append(f"| `{name}` | {_values(properties[name])} | {default} | {field.description} |")
    return "\n".join(rows) + "\n"


def _yaml(value: object) -> str:
    """A value as it is written in YAML."""
    value = _plain(value)
    if isinstance(value, float) and value == int(value):
        return f"{value:.1f}"
    return "" if value is None else json.dumps(value).replace('"', "")


def _plain(value: object) -> object:
    """A value without the keys of blocks that have their defaults."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    return {key: _plain(entry) for key, entry in value.items()} if isinstance(value, dict) else value


def _values(entry: dict[str, Any]) -> str:
    """The values that a key takes, in words."""
    if "anyOf" in entry:
        return " or ".join(_values(option) for option in entry["anyOf"])
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    if "const" in entry:
        return f"`{entry['const']}`"
    words = {
        "array": "list",
        "boolean": "`true`, `false`",
        "integer": "integer",
        "null": "empty",
        "number": "number",
        "object": "block",
        "string": "text",
    }
    text = words.get(str(entry.get("type")), "block")
    low = next(
        (f"{sign} {entry[key]}" for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">")) if key in entry),
        "",
    )
    high = next(
        (f"{sign} {entry[key]}" for key, sign in (("maximum", "≤"), ("exclusiveMaximum", "<")) if key in entry), ""
    )
    return " ".join(filter(None, [text, ", ".join(filter(None, [low, high]))]))


def main() -> None:
    """Bring both files of the checkout up to date."""
    checkout = Path(__file__).parents[3]
    for path, text in (("config/schema.json", schema()), ("docs/keys.md", key_tables())):
        with atomic_path(checkout / path) as temporary:
            temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
