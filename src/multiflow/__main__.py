"""Tools beside the workflow: ``python -m multiflow --help``."""

from __future__ import annotations

import argparse
import sys
from io import TextIOWrapper

from multiflow.base.errors import InputError, permitted
from multiflow.tools import checkpoints, cite, inspect, plan, tables

__all__ = ["main"]

_TOOLS = (inspect, tables, plan, cite, checkpoints)


def main(arguments: list[str] | None = None) -> int:
    """Run one tool; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m multiflow", description="Tools beside the workflow.")
    tools = parser.add_subparsers(dest="tool", required=True)
    for module in _TOOLS:
        module.add_parsers(tools)
    # A terminal that lacks a letter, such as the plus-minus sign, ends no command.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    chosen = parser.parse_args(arguments)
    try:
        with permitted():
            chosen.run(chosen)
    except InputError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
