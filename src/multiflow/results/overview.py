"""All tables from whatever is finished (``make tables``)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from multiflow.base.errors import InputError
from multiflow.results.costs import load_costs
from multiflow.results.intervals import load_intervals
from multiflow.results.pages import write_table_page
from multiflow.results.records import load_doubts, load_runs, run_settings
from multiflow.results.tables import (
    Table,
    ablation_tests_table,
    compare_ablations,
    compare_methods,
    compare_with_paper,
    comparison_tables,
    cost_table,
    format_text,
    interval_table,
    make_table,
    method_tables,
    summary_line,
    table_context,
    table_experiments,
    tables_of,
    write_csv,
    write_latex,
)
from multiflow.results.tables.notes import left_out_notes

if TYPE_CHECKING:
    from pandas import DataFrame

    from multiflow.config import Config

__all__ = ["write_tables"]

# Apart from the workflow's own, which Snakemake would take for made by its rules and never renew.
_FOLDER = "tables_so_far"


def write_tables(config: Config, results: Path, only: str | None = None) -> str:
    """Write a run's tables as CSV, LaTeX and pages from the runs that are finished; returns them as text.

    A run that was made with other settings than the configuration's counts as not finished, and a footnote says so.
    What would be the same stays as it is.

    Args:
        config: the run.
        results: its folder; the runs are below ``metrics``, the tables are written below ``tables_so_far``.
        only: one table, such as ``table1``; None: all.

    Raises:
        InputError: a run's JSON is damaged, or there is no such table.
    """
    known = tables_of(config)
    if only is not None and only not in known:
        raise InputError(f"--table: there is no {only}; the tables are {', '.join(known)}")
    paths = {
        results / "metrics" / experiment / class_name / f"seed{seed}.json": (experiment, class_name, seed)
        for experiment, class_name, seed in config.runs
    }
    found = [path for path in paths if path.is_file()]
    metrics = load_runs(found)
    kinds = {run[:2] for run in paths.values()}
    expected = {kind: json.loads(json.dumps(config.decided_by(config.experiment(*kind)))) for kind in kinds}
    others = [path for path in found if run_settings(path) != expected[paths[path][:2]]]
    metrics = metrics[~metrics["source"].isin([path.as_posix() for path in others])]
    context = replace(
        table_context(config),
        left_out=Counter(paths[path][0] for path in others),
        doubts=load_doubts(path for path in found if path not in others),
    )

    def shown(name: str) -> DataFrame:
        return metrics[metrics["experiment"].isin(table_experiments(name, context))]

    finished = [f"{len(found) - len(others)} of {len(paths)} runs are finished."]
    finished += left_out_notes(list(config.experiments), context)
    texts = []
    for name in known if only is None else (only,):
        table = make_table(name, shown(name), context)
        _write(results, name, [table])
        texts.append(format_text(table))
    if only is not None:
        return "\n".join([*texts, f"{' '.join(finished)}\n"])
    tests = ablation_tests_table(compare_ablations(shown("ablation_tests"), context), context)
    _write(results, "ablation_tests", [tests])
    comparison = compare_with_paper(shown("comparison"), context)
    _write(results, "comparison", comparison_tables(comparison, context))
    of_methods = {path: paths[path] for path in found if paths[path][0] in context.methods and path not in others}
    ranks, pairs, class_ranks = method_tables(compare_methods(metrics, context), context)
    _write(results, ranks.name, [ranks, pairs, class_ranks])
    for table in (pairs, class_ranks):
        write_csv(table, results / _FOLDER / f"{table.name}.csv")
    intervals = interval_table(metrics, load_intervals(of_methods), context)
    costs = cost_table(load_costs(config, results, of_methods.values()), context)
    for table in (intervals, costs):
        _write(results, table.name, [table])
    texts += [
        format_text(tests),
        *map(format_text, (ranks, pairs, intervals, costs)),
        f"{summary_line(comparison)}\n{' '.join(finished)}\n",
    ]
    return "\n".join(texts)


def _write(results: Path, name: str, tables: Sequence[Table]) -> None:
    folder = results / _FOLDER
    write_csv(tables[0], folder / f"{name}.csv")
    write_latex(tables, folder / f"{name}.tex")
    write_table_page(tables, folder / f"{name}.html")
