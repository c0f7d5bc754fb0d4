"""The comparison with the paper and the tests of the ablations as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from multiflow.tables.ablation_tests import REFERENCE, AblationTest
from multiflow.tables.comparison import NOT_COMPARABLE, ComparedEffect, Comparison
from multiflow.tables.model import MISSING

__all__ = ["format_ablation_tests_csv", "format_comparison_csv"]

_COLUMNS = (
    "table", "experiment", "class", "metric", "published", "published_std", "published_n",
    "measured", "measured_std", "measured_n", "difference", "test", "limit", "p", "p_holm", "verdict", "reason",
    "repeats", "effect_published", "effect_measured", "effect_classes", "effect_p", "effect_p_holm", "effect_verdict",
)  # fmt: skip

_TEST_COLUMNS = (
    "table", "experiment", "reference", "metric", "difference", "classes", "differing_classes",
    "p", "p_holm", "smallest_p", "verdict",
)  # fmt: skip


def format_comparison_csv(comparison: Comparison | None) -> str:
    """One row per published cell; of an ablation also what it changes, and the test of that over the classes.

    Values are percent, differences percentage points; measured ones have four decimals, published ones those
    that were printed. ``limit`` is the largest difference that counts as none. Where nothing is comparable, the
    file says that and nothing else.
    """
    if comparison is None:
        return f"{NOT_COMPARABLE}\n"
    effects = {(effect.test.table, effect.test.experiment, effect.test.metric): effect for effect in comparison.effects}
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for cell in comparison.cells:
        test = cell.test
        published, measured = cell.published, cell.measured
        line = [cell.table, cell.experiment, cell.class_name, cell.metric]
        line += [published.printed, published.printed_std, _integer(published.n)]
        line += [MISSING if measured.value is None else f"{measured.value:.4f}", _decimals(measured.std)]
        line += [_integer(measured.n or None), _decimals(cell.difference)]
        line += ["", "", ""] if test is None else [test.name, _decimals(test.limit), _chance(test.p)]
        line += [_chance(cell.p_holm), cell.verdict, cell.reason, cell.repeats]
        effect = effects.get((cell.table, cell.experiment, cell.metric)) if cell.class_name == "average" else None
        line += [""] * 6 if effect is None else _effect(effect)
        writer.writerow(line)
    return stream.getvalue()


def _effect(effect: ComparedEffect) -> list[str]:
    test = effect.test
    line = [f"{effect.published:.{effect.digits}f}", f"{test.difference:.4f}", str(test.classes)]
    return [*line, _chance(test.ranks.p), _chance(test.p_holm), effect.verdict]


def _integer(value: int | None) -> str:
    return "" if value is None else str(value)


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


def _chance(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def format_ablation_tests_csv(tests: Sequence[AblationTest]) -> str:
    """One row per test."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(_TEST_COLUMNS)
    for test in tests:
        line = [test.table, test.experiment, REFERENCE, test.metric, f"{test.difference:.4f}"]
        line += [str(test.classes), str(test.ranks.pairs), f"{test.ranks.p:.4g}", f"{test.p_holm:.4g}"]
        writer.writerow([*line, f"{test.smallest_p:.4g}", test.verdict])
    return stream.getvalue()
