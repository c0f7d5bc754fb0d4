"""What methods took, from the records of their own jobs: histories, the runs' JSON files, and times beside the logs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from multiflow.base.errors import InputError
from multiflow.base.job import job_seconds
from multiflow.results.records import read_record

if TYPE_CHECKING:
    from multiflow.config import Config

__all__ = ["RunCost", "Taken", "load_costs"]


class Taken(BaseModel):
    """What a job noted of itself; see :class:`multiflow.base.usage.Meter`."""

    model_config = ConfigDict(frozen=True)

    seconds: float = Field(ge=0, allow_inf_nan=False, description="By the clock, all attempts together.")
    memory: int = Field(ge=0, description="The most that its process held, bytes.")
    gpu_memory: int | None = Field(None, ge=0, description="The most that torch held of the GPU, bytes.")
    device: str = Field(description="The device that computed.")
    threads: int = Field(ge=1, description="CPU threads that computed.")
    samples: int = Field(ge=1, description="Samples that it worked on.")
    parameters: int | None = Field(None, ge=0, description="Numbers of a model that a training has left.")


@dataclass(frozen=True)
class RunCost:
    """What one run took.

    Attributes:
        experiment, class_name, seed: the run.
        training: of its model; None where it was not trained here.
        scoring: of its test samples; None where that was not noted.
        preparation: seconds a sample of the stations that the method asks for; None where one has no time.
    """

    experiment: str
    class_name: str
    seed: int
    training: Taken | None
    scoring: Taken | None
    preparation: float | None

    @property
    def scoring_seconds(self) -> float | None:
        """Of one sample, from its prepared input to its scores."""
        return None if self.scoring is None else self.scoring.seconds / self.scoring.samples

    @property
    def sample_seconds(self) -> float | None:
        """Of one sample, from its pictures to its scores."""
        if self.preparation is None or self.scoring_seconds is None:
            return None
        return self.preparation + self.scoring_seconds


def load_costs(config: Config, folder: Path, runs: Iterable[tuple[str, str, int]]) -> list[RunCost]:
    """What runs took, as far as it was noted.

    Args:
        config: of these runs.
        folder: the run's results.
        runs: experiment, class and seed of runs whose JSON is there.

    Raises:
        InputError: a file is damaged.
    """
    costs = []
    prepared: dict[tuple[str, str], float | None] = {}
    for name, class_name, seed in runs:
        if (name, class_name) not in prepared:
            prepared[name, class_name] = _preparation(config, folder, name, class_name)
        place = f"{class_name}/seed{seed}"
        history = folder / "models" / config.trained_as(name, class_name, seed) / f"{place}.jsonl"
        record = folder / "metrics" / name / f"{place}.json"
        costs.append(
            RunCost(
                name,
                class_name,
                seed,
                _taken(_last(history).get("usage"), history),
                _taken(read_record(record).get("usage"), record),
                prepared[name, class_name],
            )
        )
    return costs


def _preparation(config: Config, folder: Path, name: str, class_name: str) -> float | None:
    """Seconds a sample that extraction and segmentation took, of whatever the experiment reads."""
    from multiflow.datasets.table import load_samples  # pandas is slow to import

    experiment = config.experiment(name, class_name)
    stations = [f"extract_features/{features}" for features in experiment.needs.features]
    if experiment.segmentation is not None:
        stations.append(f"segment_foreground/{experiment.segmentation}")
    seconds = [job_seconds(folder / "logs" / station / f"{class_name}.log") for station in stations]
    known = [value for value in seconds if value is not None]
    samples = folder / "samples" / f"{class_name}.csv"
    if len(known) < len(seconds) or not samples.is_file():
        return None
    return sum(known) / len(load_samples(samples)[["split", "sample"]].drop_duplicates())


def _last(history: Path) -> dict[str, Any]:
    """The last line of a history; nothing where there is no history."""
    if not history.is_file():
        return {}
    lines = history.read_text(encoding="utf-8").splitlines()
    try:
        record = json.loads(lines[-1]) if lines else {}
    except ValueError as error:
        raise InputError(
            f"{history}: last line: expected JSON, cannot read it ({error}); delete it and train again"
        ) from None
    return record if isinstance(record, dict) else {}


def _taken(values: Any, path: Path) -> Taken | None:
    if not values:
        return None
    try:
        return Taken.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("usage", *first["loc"])))
        raise InputError(f"{path}: {place}: {first['msg']}; delete it and run the workflow again") from None
