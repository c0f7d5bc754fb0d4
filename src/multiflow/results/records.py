"""``metrics.csv``: one row per experiment, class, seed and metric; the only source of tables and figures."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from multiflow.base.errors import InputError
from multiflow.base.files import atomic_path

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["COLUMNS", "METRICS", "collect_metrics", "load_doubts", "load_metrics", "load_runs", "run_settings"]

COLUMNS = ("experiment", "class", "seed", "metric", "value", "source")
"""Columns of ``metrics.csv``."""

METRICS = (
    "sample_auroc",
    "image_auroc",
    "pixel_auroc",
    "aupro",
    "image_ap",
    "image_f1_max",
    "pixel_ap",
    "pixel_f1_max",
    "sample_auroc_max",
    "sample_auroc_mean",
    "sample_auroc_top1",
)
"""Metrics in the order of the rows; others (those of a type of defect) follow by name."""

_ROUNDING = 1e-9
"""By how much a fraction may lie outside of 0 to 1 through rounding alone."""


class _Run(NamedTuple):
    """What one JSON says."""

    experiment: str
    class_name: str
    seed: int
    metrics: dict[str, float | None]


def collect_metrics(json_paths: Iterable[str | Path], output: str | Path) -> None:
    """Write ``metrics.csv`` from the JSON files of runs.

    Rows are sorted by experiment (in the order in which ``json_paths`` first names them), class, seed and
    metric, so that the bytes depend on nothing but the values. Values are fractions in [0, 1] that read back
    exactly; an undefined metric is an empty value. ``source`` is the JSON's path relative to ``output``.

    Args:
        json_paths: files with ``experiment``, ``class``, ``seed`` and ``metrics`` (name to value or null).
        output: the file to write; it appears whole or not at all.

    Raises:
        InputError: one line per problem: a file that is missing or not JSON, a key that is missing or of
            another type, a value outside [0, 1], two files for one experiment, class and seed.
    """
    target = Path(output)
    runs = _read_runs(json_paths)
    with atomic_path(target) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for path, run in runs:
            source = Path(os.path.relpath(path, target.parent)).as_posix()
            for metric, value in run.metrics.items():
                text = "" if value is None else repr(value)
                writer.writerow([run.experiment, run.class_name, run.seed, metric, text, source])


def load_runs(json_paths: Iterable[str | Path]) -> DataFrame:
    """The table of :func:`load_metrics` straight from the JSON files of whatever runs are finished.

    ``source`` is the path as it was given.

    Raises:
        InputError: see :func:`collect_metrics`.
    """
    import pandas as pd

    rows = [
        (run.experiment, run.class_name, run.seed, metric, value, path.as_posix())
        for path, run in _read_runs(json_paths)
        for metric, value in run.metrics.items()
    ]
    types = dict.fromkeys(COLUMNS, "str") | {"seed": "int64", "value": "float64"}
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)


def run_settings(json_path: Path) -> Any:
    """The settings that a run was made with, as its JSON has them; None where it does not say.

    Raises:
        InputError: the JSON is damaged.
    """
    provenance = _read_object(json_path).get("provenance")
    return provenance.get("config") if isinstance(provenance, dict) else None


def load_doubts(json_paths: Iterable[str | Path]) -> dict[str, dict[str, int]]:
    """What there is to doubt about the data of runs: by class, how often a footnote's words are true.

    Raises:
        InputError: a JSON is damaged.
    """
    found: dict[str, dict[str, int]] = {}
    for path in map(Path, json_paths):
        content = _read_object(path)
        of_class, doubts = found.setdefault(str(content.get("class")), {}), content.get("doubts", {})
        if not isinstance(doubts, dict) or not all(isinstance(count, int) for count in doubts.values()):
            raise InputError(
                f"{path}: doubts: expected numbers, found {_kind(doubts)}; delete it and run the workflow again"
            )
        for what, count in doubts.items():
            of_class[what] = max(count, of_class.get(what, 0))
    return {class_name: doubts for class_name, doubts in found.items() if doubts}


def load_metrics(path: str | Path) -> DataFrame:
    """Read ``metrics.csv``: strings, integer ``seed``, float ``value`` (NaN where undefined).

    Raises:
        InputError: the file is missing or unreadable, lacks a column, holds a value that is not a number in
            [0, 1], a seed that is not an integer, or a row twice.
    """
    import pandas as pd

    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: expected a table of metrics, found none that can be read ({_line(error)})") from None
    missing = [column for column in COLUMNS if column not in frame.columns]
    if missing:
        raise InputError(
            f"{path}: header: expected the columns {', '.join(COLUMNS)}, found no {', '.join(missing)}; "
            "make the file again"
        )
    frame = frame[list(COLUMNS)]
    problems = []
    seeds = pd.to_numeric(frame["seed"].where(frame["seed"].str.fullmatch(r"-?\d+")), errors="coerce")
    values = pd.to_numeric(frame["value"], errors="coerce")
    # Written as "not inside" so that NaN and inf are wrong, too; empty is the one way to say undefined.
    wrong = (frame["value"] != "") & ~values.between(0.0, 1.0)
    for index, text in frame.loc[seeds.isna(), "seed"].items():
        problems.append(f"{path}: line {_row(index)}, seed: expected an integer, found '{text!s}'")
    for index, text in frame.loc[wrong, "value"].items():
        problems.append(
            f"{path}: line {_row(index)}, value: expected a number from 0 to 1 or nothing, found '{text!s}'"
        )
    key = ["experiment", "class", "seed", "metric"]
    for index, row in frame.loc[frame.duplicated(key), key].iterrows():
        problems.append(f"{path}: line {_row(index)}: {', '.join(map(str, row))} is here twice")
    if problems:
        raise InputError(problems)
    return frame.assign(seed=seeds.astype("int64"), value=values.astype("float64"))


def _read_runs(json_paths: Iterable[str | Path]) -> list[tuple[Path, _Run]]:
    """The runs by experiment, class and seed; experiments in the order in which they are first named."""
    problems: list[str] = []
    runs: dict[tuple[str, str, int], tuple[Path, _Run]] = {}
    for path in map(Path, json_paths):
        try:
            run = _read_run(path)
        except InputError as error:
            problems += error.problems
            continue
        key = (run.experiment, run.class_name, run.seed)
        if key in runs:
            problems.append(
                f"{path}: expected each run once, found {run.experiment}, {run.class_name}, seed {run.seed} "
                f"in {runs[key][0]}, too; delete one of them"
            )
        runs.setdefault(key, (path, run))
    if problems:
        raise InputError(problems)
    order = {name: index for index, name in enumerate(dict.fromkeys(experiment for experiment, _, _ in runs))}
    return [runs[key] for key in sorted(runs, key=lambda key: (order[key[0]], key[1], key[2]))]


def _read_object(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{path}: expected the JSON of a run, found none that can be read ({_line(error)}); "
            "delete it and run the workflow again"
        ) from None
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected an object with experiment, class, seed and metrics, found {_kind(content)}; "
            "delete it and run the workflow again"
        )
    return content


def _read_run(path: Path) -> _Run:
    content = _read_object(path)
    problems = []
    for key, kind, name in (
        ("experiment", str, "text"),
        ("class", str, "text"),
        ("seed", int, "an integer"),
        ("metrics", dict, "an object"),
    ):
        value = content.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            found = _kind(value) if key in content else "nothing"
            problems.append(f"{path}: {key}: expected {name}, found {found}; delete it and run the workflow again")
    if problems:
        raise InputError(problems)
    metrics: dict[str, float | None] = {}
    for name, value in sorted(content["metrics"].items(), key=lambda item: _metric_order(item[0])):
        if value is None:
            metrics[name] = None
        elif isinstance(value, int | float) and not isinstance(value, bool) and -_ROUNDING <= value <= 1 + _ROUNDING:
            metrics[name] = min(max(float(value), 0.0), 1.0)
        else:
            problems.append(
                f"{path}: metrics.{name}: expected a number from 0 to 1 or null, found {_kind(value)}; delete it and "
                "run the workflow again"
            )
    if problems:
        raise InputError(problems)
    return _Run(content["experiment"], content["class"], content["seed"], metrics)


def _row(index: Any) -> int:
    """Line of a row in its file: the header is the first."""
    return int(index) + 2


def _metric_order(metric: str) -> tuple[int, str]:
    return (METRICS.index(metric) if metric in METRICS else len(METRICS), metric)


def _kind(value: Any) -> str:
    """A value as it is shown in a message: short, on one line."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return json.dumps(value)[:60]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
