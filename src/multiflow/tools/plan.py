"""What a run will cost."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from multiflow.base.errors import InputError
from multiflow.tools.configurations import config_of_files

__all__ = ["add_parsers"]


def add_parsers(tools: Any) -> None:
    """Add ``plan``."""
    parser = tools.add_parser(
        "plan",
        help="what a run will cost: jobs, GPU-hours, CPU-hours, disk",
        description="Prints a table in Markdown. Where the run has finished jobs, their times are taken.",
    )
    parser.add_argument(
        "configs", type=Path, nargs="*", metavar="FILE", help="overlays of config/config.yaml, as after --configfile"
    )
    parser.add_argument("--table", help="only what this table needs, such as table1 (default: all of the run)")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> None:
    from multiflow.cluster.costs import load_costs
    from multiflow.cluster.plan import render_plan
    from multiflow.results.tables import table_runs, tables_of

    config = config_of_files(chosen.configs)
    runs = None
    if chosen.table is not None:
        if chosen.table not in tables_of(config):
            raise InputError(f"--table: there is no {chosen.table}; the tables are {', '.join(tables_of(config))}")
        runs = table_runs(chosen.table, config)
    costs = load_costs(Path("results/gpu.json"))
    print(render_plan(config, costs, measured=config.folder / "benchmarks", runs=runs), end="")
