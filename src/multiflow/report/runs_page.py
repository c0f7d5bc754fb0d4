"""Every number of a run by class and experiment, down to the JSON of each seed."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multiflow.metrics import METRICS, load_metrics
from multiflow.report.page import write_page
from multiflow.report.table_page import format_cell
from multiflow.tables import TableContext
from multiflow.tables.aggregate import Results
from multiflow.tables.build import class_heading, metric_heading
from multiflow.tables.model import Cell

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["write_runs_page"]

_NOTES = """<div class="notes">
<p>Percent. Mean ± standard deviation over the seeds (n - 1 in the denominator; none for one seed).</p>
<p>A click on a class opens its seeds, and there the JSON of each: configuration, versions, revision, checksums of data
and weights, device. The same file lies in the run's folder, under the path that is shown, which is also in the column
<code>source</code> of <code>metrics.csv</code>.</p>
</div>"""


def write_runs_page(metrics_path: str | Path, context: TableContext, path: str | Path) -> None:
    """Write a page with a row per class and experiment that opens into its seeds and their JSON.

    Args:
        metrics_path: ``metrics.csv``, beside the JSON files that its column ``source`` names.
        context: the run.
        path: the page.

    Raises:
        InputError: see :func:`multiflow.metrics.load_metrics`.
        OSError: a JSON is missing.
    """
    folder = Path(metrics_path).parent
    metrics = load_metrics(metrics_path)
    results = Results(metrics)
    present = set(metrics["metric"])
    names = [name for name in METRICS if name in present] + sorted(present.difference(METRICS))
    heads = [*(f'<th scope="col">{text}</th>' for text in ("Class", "Experiment"))]
    heads += [
        f'<th scope="col" class="number">{html.escape(text)}</th>' for text in ("Seeds", *map(metric_heading, names))
    ]
    rows: list[str] = []
    groups = []
    for class_name, experiment, runs in _groups(metrics, context):
        cells = [results.of_class(experiment, name, class_name) for name in names]
        rows.append(_row(len(rows), class_name, class_heading(class_name, context), experiment, len(runs), cells))
        groups.append([(seed, source, _read(folder / source)) for seed, source in runs])
    write_page(
        path,
        "Every run",
        '<div class="wide">\n'
        f'<table id="table" class="booktabs runs">\n<thead>\n<tr>{"".join(heads)}</tr>\n</thead>\n'
        "<tbody>\n" + "\n".join(rows) + f"\n</tbody>\n</table>\n</div>\n{_NOTES}",
        script="runs.js",
        data={"metrics": {name: metric_heading(name) for name in names}, **_pooled(groups)},
    )


def _row(index: int, class_name: str, heading: str, experiment: str, seeds: int, cells: Iterable[Cell]) -> str:
    """A class's row of an experiment; the page's script opens it by its index."""
    class_name, heading, experiment = map(html.escape, (class_name, heading, experiment))
    return (
        f'<tr data-row="{index}" data-class="{class_name}" data-experiment="{experiment}">'
        f'<th scope="row" data-search="{heading} {class_name}">'
        f'<button type="button" aria-expanded="false">{heading}</button></th>'
        f'<td>{experiment}</td><td class="number">{seeds}</td>{"".join(map(format_cell, cells))}</tr>'
    )


def _read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return record


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


def _pooled(groups: list[list[tuple[int, str, dict[str, Any]]]]) -> dict[str, Any]:
    """The records with every different value of a provenance key once: most runs share most of them."""
    pools: dict[str, dict[str, int]] = {}

    def place(key: str, value: Any) -> int:
        pool = pools.setdefault(key, {})
        return pool.setdefault(json.dumps(value, sort_keys=True), len(pool))

    rows = [
        [
            {
                "seed": seed,
                "source": source,
                "metrics": record["metrics"],
                "provenance": {key: place(key, value) for key, value in record["provenance"].items()},
            }
            for seed, source, record in group
        ]
        for group in groups
    ]
    return {"rows": rows, "pools": {key: [json.loads(text) for text in pool] for key, pool in pools.items()}}
