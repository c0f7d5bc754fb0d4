"""The best of several evaluations, as some released codes report it: of each metric by itself, on the test set."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["best_on_test"]

Metrics = Mapping[str, float | None]


def best_on_test(evaluations: Mapping[str, Metrics]) -> tuple[dict[str, float | None], dict[str, str]]:
    """The highest value of each metric; the first evaluation that has it counts.

    Args:
        evaluations: metrics of the same samples by the name of the evaluation, from the first to the last.

    Returns:
        The metrics, and of each that is defined the evaluation that it was chosen from.
    """
    names = next(iter(evaluations.values()))
    found: dict[str, float | None] = dict.fromkeys(names)
    chosen: dict[str, str] = {}
    for evaluation, metrics in evaluations.items():
        for name, value in metrics.items():
            best = found[name]
            if value is not None and (best is None or value > best):
                found[name], chosen[name] = value, evaluation
    return found, chosen
