"""What to cite for a run."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from multiflow.tools.configurations import config_of_run

__all__ = ["add_parsers"]


def add_parsers(tools: Any) -> None:
    """Add ``cite``."""
    parser = tools.add_parser(
        "cite",
        help="BibTeX of the data set, the methods, the networks and the metrics of a run",
        description="Prints BibTeX; what has no reference is named on standard error.",
    )
    parser.add_argument("--run", required=True, dest="name", metavar="NAME", help="a run: a folder of results")
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> None:
    from multiflow.citations import cite, missing_references

    config = config_of_run(chosen.name)
    print(cite(config), end="")
    for line in missing_references(config):
        print(f"warning: {line}", file=sys.stderr)
