"""Confidence intervals of AUROCs over the test samples, from the JSON files of the runs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from multiflow.base.errors import InputError
from multiflow.results.records import read_record

__all__ = ["Intervals", "load_intervals"]

Intervals: TypeAlias = Mapping[tuple[str, str, str], tuple[float, float] | None]
"""Lower and upper end in percent by experiment, class and metric; None where a seed has no interval."""


def load_intervals(json_paths: Iterable[str | Path]) -> Intervals:
    """The intervals of runs, each end the mean over the seeds.

    So an interval says how far other test samples would move the AUROC of one training. Where one seed has no interval
    (no sample is ranked wrong), there is none of the mean either.

    Raises:
        InputError: a file is damaged.
    """
    found: dict[tuple[str, str, str], list[tuple[float, float] | None]] = {}
    for path in map(Path, json_paths):
        record = read_record(path)
        intervals = record.get("intervals", {})
        if not isinstance(intervals, dict) or not all(map(_is_interval, intervals.values())):
            raise InputError(
                f"{path}: intervals: expected two numbers or null by metric, found {intervals!r:.60}; "
                "delete it and run the workflow again"
            )
        for metric, ends in intervals.items():
            found.setdefault((record["experiment"], record["class"], metric), []).append(ends)
    return {key: _mean(seeds) for key, seeds in found.items()}


def _mean(seeds: list[tuple[float, float] | None]) -> tuple[float, float] | None:
    known = [ends for ends in seeds if ends is not None]
    if len(known) < len(seeds):
        return None
    low, high = (100 * statistics.fmean(ends) for ends in zip(*known, strict=True))
    return low, high


def _is_interval(value: Any) -> bool:
    return value is None or (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(end, int | float) and 0 <= end <= 1 for end in value)
    )
