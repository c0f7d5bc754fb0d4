"""What all blocks of the configuration share: their base class, their value types, and which values decide a result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

__all__ = [
    "ADDED",
    "NEUTRAL",
    "SCORING",
    "Block",
    "ClassName",
    "Compute",
    "Device",
    "Heading",
    "Name",
    "Precision",
    "Seed",
    "Sha256",
    "Unique",
    "deciding",
]


def _two_digits(value: Any) -> Any:
    """YAML reads 01 as the number 1."""
    return f"{value:02d}" if type(value) is int else value


def _one_line(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError(f"expected a line of printable characters, found {text!r}")
    return text


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
ClassName = Annotated[Name, BeforeValidator(_two_digits)]
Heading = Annotated[str, AfterValidator(_one_line)]
"""Any text that is printed as it is typed."""
# Snakemake hands the numbers of a list in --config over as texts.
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["float32", "tf32", "bfloat16"]
"""In what a network computes on a GPU; a CPU has no TF32 and takes float32."""
Value = TypeVar("Value")

NEUTRAL: dict[str, Any] = {"decides": "nothing"}
"""``json_schema_extra`` of a field that changes no result, such as a number of processes: its change reruns nothing."""

SCORING: dict[str, Any] = {"decides": "scores"}
"""``json_schema_extra`` of a method's field that changes its scores and not its training."""

ADDED: dict[str, Any] = {"decides": "unless default"}
"""``json_schema_extra`` of a field that was added later and whose default is what was done before: while it has that,
what earlier versions have computed stays."""


def _no_duplicates(values: list[Value]) -> list[Value]:
    duplicates = [str(value) for value, count in Counter(values).items() if count > 1]
    if duplicates:
        raise ValueError(f"found {', '.join(duplicates)} more than once; delete the duplicates")
    return values


Unique = Annotated[list[Value], AfterValidator(_no_duplicates)]


class Block(BaseModel):
    """A block of the configuration: unknown keys are mistakes, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Compute(Block):
    """Where and how fast results are computed; no change of it reruns anything."""

    device: Device = Field("auto", description="`auto` takes a GPU where there is one.", json_schema_extra=NEUTRAL)
    threads: int = Field(
        1, ge=1, description="CPU threads of a job; on a CPU, last digits depend on it.", json_schema_extra=NEUTRAL
    )
    workers: int = Field(
        2, ge=0, description="Processes that decode pictures while a network runs.", json_schema_extra=NEUTRAL
    )


def deciding(settings: BaseModel, what: Literal["training", "scores"] = "scores") -> dict[str, Any]:
    """The settings that decide a result, as plain values that JSON can hold.

    Fields marked :data:`NEUTRAL` are left out, in nested blocks and mappings of blocks as well; for ``training`` those
    marked :data:`SCORING`, too; and those marked :data:`ADDED` that have their default.
    """
    left_out = {"nothing"} | ({"scores"} if what == "training" else set())
    values = settings.model_dump(mode="json")
    for name, field in type(settings).model_fields.items():
        marks = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        value = getattr(settings, name)
        if marks.get("decides") in left_out or (marks.get("decides") == "unless default" and value == field.default):
            del values[name]
        elif isinstance(value, BaseModel):
            values[name] = deciding(value, what)
        elif isinstance(value, Mapping):
            values[name] |= {key: deciding(own, what) for key, own in value.items() if isinstance(own, BaseModel)}
    return values
