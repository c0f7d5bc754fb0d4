"""What a unit of work costs: measured here, assumed, or found on a GPU of the user's."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from multiflow.base.errors import InputError
from multiflow.base.settings import Precision

__all__ = ["ON_GPU", "UnitCost", "gpu_speed", "load_costs"]

ON_GPU = "measured on a GPU"
"""Kind of a cost that `make bench-gpu` found."""


_RATES = {
    ("features", "float32"): "gpu_features_tflops",
    ("features", "bfloat16"): "gpu_features_bf16_tflops",
    ("mvanet", "float32"): "gpu_mvanet_tflops",
    ("mvanet", "bfloat16"): "gpu_mvanet_bf16_tflops",
    ("training", "tf32"): "gpu_training_tflops",
    ("training", "bfloat16"): "gpu_training_bf16_tflops",
}


@dataclass(frozen=True)
class UnitCost:
    """One line of ``costs.csv``.

    Args:
        value: seconds, or TFLOP/s.
        kind: ``measured``, ``assumed``, ``stated`` by the card's maker, or :data:`ON_GPU`.
        source: on what, and how.
    """

    value: float
    kind: str
    source: str


def load_costs(gpu: Path | None = None) -> dict[str, UnitCost]:
    """The costs that the package knows, by name.

    Args:
        gpu: what ``benchmarks/gpu.py`` wrote on a GPU, where that was run: its rates replace what is assumed.

    Raises:
        InputError: the file holds something else.
    """
    with (files("multiflow.cluster") / "costs.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    costs = {row["name"]: UnitCost(float(row["value"]), row["kind"], row["source"]) for row in rows}
    if gpu is None or not gpu.is_file():
        return costs
    try:
        found = json.loads(gpu.read_text(encoding="utf-8"))
        rates = {name: float(value) for name, value in found["costs"].items()}
        if not all(name in costs and 0 < value < math.inf for name, value in rates.items()):
            raise ValueError(f"costs {rates}")
        measured = {name: UnitCost(value, ON_GPU, str(found["device"])) for name, value in rates.items()}
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise InputError(
            f"{gpu}: expected the rates that `make bench-gpu` writes, found others ({' '.join(str(error).split())}); "
            "run it again, or delete the file"
        ) from None
    return costs | measured


def gpu_speed(unit: Mapping[str, float], work: str, precision: Precision) -> tuple[float, float]:
    """Rate at which a GPU does some work, and its peak, both in TFLOP/s.

    Args:
        unit: values of the costs, by name.
        work: ``features``, ``mvanet``, ``training`` or ``scoring``.
        precision: in what it is computed.
    """
    # A method's networks in float32 are as fast when they train as when they score.
    return unit[_RATES.get((work, precision), "gpu_scoring_tflops")], unit[f"peak_{precision}_tflops"]
