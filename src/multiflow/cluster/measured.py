"""What the jobs of an earlier run took."""

from __future__ import annotations

import csv
import json
from pathlib import Path

__all__ = ["measured_seconds"]


def measured_seconds(folder: Path) -> dict[tuple[str, str], float]:
    """Mean seconds of jobs by rule and variant, from a run's files ``<rule>/[<variant>/]<class>...``, and of trainings
    from what they noted of themselves: a job may have used a finished training again, or made several.
    """
    times: dict[tuple[str, str], list[float]] = {}
    for path in sorted(folder.rglob("*.tsv")):
        rule, *between = path.relative_to(folder).parts[:-1]
        with open(path, newline="", encoding="utf-8") as stream:
            seconds = [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")]
        times.setdefault((rule, between[0] if between else ""), []).extend(seconds)
    trainings: dict[tuple[str, str], list[float]] = {}
    for path in sorted((folder.parent / "models").glob("*/*/seed*.jsonl")):
        if (noted := _noted_seconds(path)) is not None:
            trainings.setdefault(("train_model", path.parts[-3]), []).append(noted)
    times |= trainings
    return {key: sum(seconds) / len(seconds) for key, seconds in times.items() if seconds}


def _noted_seconds(history: Path) -> float | None:
    """What a training took, by the last line of its history; None where it doesn't say."""
    try:
        last = json.loads(history.read_text(encoding="utf-8").splitlines()[-1])
        return float(last["usage"]["seconds"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
