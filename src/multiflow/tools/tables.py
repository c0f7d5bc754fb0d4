"""The tables of a run from whatever of it is finished."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from multiflow.tools.configurations import config_of_run

__all__ = ["add_parsers"]


def add_parsers(tools: Any) -> None:
    """Add ``tables``."""
    parser = tools.add_parser(
        "tables",
        help="write and print all tables from what is finished, while a run is under way or after it",
        description="Writes results/<run>/tables_so_far and prints them; each says what is missing.",
    )
    parser.add_argument("--run", required=True, dest="name", metavar="NAME", help="a run: a folder of results")
    parser.add_argument("--table", help="one of them alone, such as table1 (default: all)")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> None:
    from multiflow.results.overview import write_tables

    # The folder may have another name than the run had when it started, as a copy has.
    print(write_tables(config_of_run(chosen.name), Path("results", chosen.name), chosen.table), end="")
