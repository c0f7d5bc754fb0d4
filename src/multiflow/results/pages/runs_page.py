"""Every number of a run by class and experiment, down to the JSON of each seed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiflow.results.metric_names import metric_heading
from multiflow.results.pages.page import render, write_page
from multiflow.results.records import METRICS, load_metrics
from multiflow.results.tables import Results, TableContext, class_heading

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["write_runs_page"]


def write_runs_page(metrics_path: str | Path, context: TableContext, path: str | Path) -> None:
    """Write a page with a row per class and experiment that opens into its seeds and their JSON.

    Metrics of single defect types are in the JSON only.

    Args:
        metrics_path: ``metrics.csv``, beside the JSON files that its column ``source`` names.
        context: the run.
        path: the page.

    Raises:
        InputError: see :func:`multiflow.results.records.load_metrics`.
        OSError: a JSON is missing.
    """
    folder = Path(metrics_path).parent
    metrics = load_metrics(metrics_path)
    results = Results(metrics)
    present = {name for name in metrics["metric"] if ":" not in name}
    names = [name for name in METRICS if name in present] + sorted(present.difference(METRICS))
    rows, groups = [], []
    for class_name, experiment, runs in _groups(metrics, context):
        rows.append(
            {
                "class_name": class_name,
                "heading": class_heading(class_name, context),
                "experiment": experiment,
                "seeds": len(runs),
                "cells": [results.of_class(experiment, name, class_name) for name in names],
            }
        )
        groups.append([(source, json.loads((folder / source).read_text(encoding="utf-8"))) for _, source in runs])
    # The rows of 30 classes are half a megabyte, which compresses well.
    data = {"body": render("run_rows.html", rows=rows), "metrics": names, **_pooled(groups)}
    headings = [metric_heading(name) for name in names]
    write_page(path, "runs.html", "Every run", script="runs.js", data=data, headings=headings)


def _groups(metrics: DataFrame, context: TableContext) -> Iterable[tuple[str, str, list[tuple[int, str]]]]:
    """Class, experiment, and the seeds with their JSON's path, classes and experiments in the run's order."""
    runs: dict[tuple[str, str], list[tuple[int, str]]] = {}
    columns = [metrics[name] for name in ("class", "experiment", "seed", "source")]
    for class_name, experiment, seed, source in dict.fromkeys(zip(*columns, strict=True)):
        runs.setdefault((class_name, experiment), []).append((int(seed), source))
    for class_name in context.classes:
        for experiment in context.experiments:
            if (class_name, experiment) in runs:
                yield class_name, experiment, sorted(runs[class_name, experiment])


def _pooled(groups: list[list[tuple[str, dict[str, Any]]]]) -> dict[str, Any]:
    """The records with every different value of a provenance key once: most runs share most of them."""
    pools: dict[str, dict[str, int]] = {}

    def place(key: str, value: Any) -> int:
        pool = pools.setdefault(key, {})
        return pool.setdefault(json.dumps(value, sort_keys=True), len(pool))

    rows = [
        [
            {
                "source": source,
                "record": record
                | {"provenance": {key: place(key, value) for key, value in record["provenance"].items()}},
            }
            for source, record in group
        ]
        for group in groups
    ]
    return {"rows": rows, "pools": {key: [json.loads(text) for text in pool] for key, pool in pools.items()}}
