"""Write config/schema.json and the key tables of config/README.md from the models (`make schema`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from multiflow.config import Config, Dataset, Evaluation, Experiment, Features, Flow, Foreground, Keep, Training
from multiflow.rendering.settings import Rendering

__all__ = ["insert_tables", "key_tables", "schema"]

_BEGIN = "<!-- keys: written by `make schema` from src/multiflow/config -->"
_END = "<!-- end of keys -->"

_BLOCKS: dict[str, type[BaseModel]] = {
    "dataset": Dataset,
    "rendering": Rendering,
    "features": Features,
    "foreground": Foreground,
    "flow": Flow,
    "training": Training,
    "evaluation": Evaluation,
    "keep": Keep,
    "experiments.<name>": Experiment,
}


def schema() -> str:
    """JSON schema of a configuration, for editors that complete and check YAML."""
    return json.dumps(Config.model_json_schema(), indent=2) + "\n"


def key_tables() -> str:
    """A Markdown table per block: key, values, default, meaning."""
    top = [name for name in Config.model_fields if name not in _BLOCKS and name != "experiments"]
    parts = ["### Top level\n\n" + _table(Config, top)]
    parts += [f"### `{name}`\n\n{_table(model, list(model.model_fields))}" for name, model in _BLOCKS.items()]
    return "\n\n".join(parts)


def insert_tables(text: str) -> str:
    """The text with the tables between its marks brought up to date."""
    before, rest = text.split(_BEGIN)
    _, after = rest.split(_END)
    return f"{before}{_BEGIN}\n\n{key_tables()}\n\n{_END}{after}"


def _table(model: type[BaseModel], names: list[str]) -> str:
    properties = model.model_json_schema()["properties"]
    rows = ["| key | values | default | meaning |", "| --- | --- | --- | --- |"]
    for name in names:
        field = model.model_fields[name]
        default = "required" if field.is_required() else f"`{_yaml(field.default)}`"
        rows.append(f"| `{name}` | {_values(properties[name])} | {default} | {field.description} |")
    return "\n".join(rows)


def _yaml(value: Any) -> str:
    """A value as it stands in YAML."""
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    if isinstance(value, float) and value == int(value):
        return f"{value:.1f}"
    return "" if value is None else json.dumps(value).replace('"', "")


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
    high = next((f"≤ {entry[key]}" for key in ("maximum",) if key in entry), "")
    return " ".join(filter(None, [text, ", ".join(filter(None, [low, high]))]))


def main() -> None:
    """Bring both files of the checkout up to date."""
    folder = Path(__file__).parents[2] / "config"
    (folder / "schema.json").write_text(schema(), encoding="utf-8")
    readme = folder / "README.md"
    readme.write_text(insert_tables(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
