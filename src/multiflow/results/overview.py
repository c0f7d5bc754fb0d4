"""All tables from whatever is finished (``make tables``)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from multiflow.results.pages import write_table_page
from multiflow.results.records import load_doubts, load_runs, run_settings
from multiflow.results.tables import (
    Table,
    ablation_tests_table,
    compare_ablations,
    compare_with_paper,
    comparison_tables,
    format_text,
    make_table,
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


def write_tables(config: Config, results: Path) -> str:
    """Write a run's tables as CSV, LaTeX and pages from the runs that are finished; returns them as text.

    A run that was made with other settings than the configuration's counts as not finished, and a footnote says so.
    Files are those that the workflow writes; what would be the same stays as it is.

    Args:
        config: the run.
        results: its folder; the runs are below ``metrics``, the tables are written below ``tables``.

    Raises:
        InputError: a run's JSON is damaged.
    """
    paths = {
        results / "metrics" / experiment / class_name / f"seed{seed}.json": (experiment, class_name)
        for experiment, class_name, seed in config.runs
    }
    found = [path for path in paths if path.is_file()]
    metrics = load_runs(found)
    expected = {run: json.loads(json.dumps(config.decided_by(config.experiment(*run)))) for run in paths.values()}
    others = [path for path in found if run_settings(path) != expected[paths[path]]]
    metrics = metrics[~metrics["source"].isin([path.as_posix() for path in others])]
    context = replace(
        table_context(config),
        left_out=Counter(paths[path][0] for path in others),
        doubts=load_doubts(path for path in found if path not in others),
    )

    def shown(name: str) -> DataFrame:
        return metrics[metrics["experiment"].isin(table_experiments(name, context))]

    texts = []
    for name in tables_of(config):
        table = make_table(name, shown(name), context)
        _write(results, name, [table])
        texts.append(format_text(table))
    tests = ablation_tests_table(compare_ablations(shown("ablation_tests"), context), context)
    _write(results, "ablation_tests", [tests])
    comparison = compare_with_paper(shown("comparison"), context)
    _write(results, "comparison", comparison_tables(comparison, context))
    finished = [f"{len(found) - len(others)} of {len(paths)} runs are finished."]
    finished += left_out_notes(list(config.experiments), context)
    texts += [format_text(tests), f"{summary_line(comparison)}\n{' '.join(finished)}\n"]
    return "\n".join(texts)


def _write(results: Path, name: str, tables: Sequence[Table]) -> None:
    folder = results / "tables"
    write_csv(tables[0], folder / f"{name}.csv")
    write_latex(tables, folder / f"{name}.tex")
    write_table_page(tables, folder / f"{name}.html")
