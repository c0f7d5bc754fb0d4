"""Nodes on which a GPU failed: a job that is submitted again goes elsewhere."""

from __future__ import annotations

import re
import time
from pathlib import Path

__all__ = ["exclude_failed", "record_failed"]

NAME = "failed_gpus.tsv"
_RECORD = re.compile(r"(?P<time>\d{1,12})\t(?P<node>[\w.-]+)\t.*")
_DAY = 86400.0  # s; by then somebody has looked after the node


def record_failed(logs: Path, node: str, reason: str) -> None:
    """Note that a GPU of a node failed.

    Args:
        logs: the run's folder of logs.
        node: as Slurm names it.
        reason: one line.
    """
    path = logs / NAME
    # What follows a torn line would be taken for its end.
    end = "\n" if path.exists() and not path.read_bytes().endswith(b"\n") else ""
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(f"{end}{time.time():.0f}\t{node}\t{reason}\n")


def exclude_failed(logs: Path, attempt: int) -> str | None:
    """Option of ``sbatch`` that keeps a second attempt off the nodes on which a GPU failed within the last day.

    The first attempt goes anywhere, since a GPU that failed once may be fine; so does the third, since Slurm refuses
    a job when no node is left.

    Args:
        logs: the run's folder of logs.
        attempt: 1 for the first submission.
    """
    try:
        text = (logs / NAME).read_text(encoding="utf-8", errors="replace") if attempt == 2 else ""
    except FileNotFoundError:
        return None
    # A line that a node wrote while it failed, or two at the same time, may be torn.
    records = [found for line in text.splitlines() if (found := _RECORD.fullmatch(line))]
    nodes = sorted({found["node"] for found in records if time.time() - int(found["time"]) < _DAY})
    return f"--exclude={','.join(nodes)}" if nodes else None
