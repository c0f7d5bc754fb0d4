"""How to read the comparison with the paper, in sentences."""

from __future__ import annotations

from multiflow.published import PAPER, PUBLISHED_RUNS
from multiflow.tables.comparison import Comparison, summary_line
from multiflow.tables.context import TableContext
from multiflow.tables.notes import data_note, departure_notes
from multiflow.tables.significance import LEVEL, ONE_VALUE, WELCH

__all__ = ["EFFECT_NOTES", "comparison_notes"]

_CHANCE = f"{100 * LEVEL:g} %"

EFFECT_NOTES = (
    "Ablation minus default, percentage points; measured: mean over the classes, each with the seeds that both "
    "have. p: Wilcoxon's signed-rank test over the classes (paired, two-sided, exact), and after Holm's "
    "correction over all tests of Tables 2 to 4 and section 4.5.2.",
    f"Same or opposite direction: p below {_CHANCE} after the correction, and the published difference is not 0.",
)
"""Below the effects of the ablations."""


def comparison_notes(comparison: Comparison, context: TableContext) -> tuple[str, ...]:
    """The summary, the data, and what the verdicts mean."""
    tested = sum(not cell.repeats and cell.p_holm is not None for cell in comparison.cells)
    return (
        f"{summary_line(comparison)}.",
        data_note(context),
        *departure_notes(context),
        f"† Published: {PAPER}; a std is over {PUBLISHED_RUNS} runs.",
        f"Limit: the largest difference that passes a two-sided test at {_CHANCE}: {WELCH} where both numbers have a "
        "std; where one has none (a single seed; a number published without std), it counts as one more run of the "
        f"other's spread ({ONE_VALUE}). What printing rounded off counts in favour of agreement.",
        "Agree: the difference is within the limit. This is no proof of equality: a difference as large as the limit "
        "would go unnoticed.",
        f"Differ: p is below {_CHANCE} also after Holm's correction over all {tested} tested numbers. "
        f"Cannot tell: only before it (if all were equal, {LEVEL * tested:.1f} would be expected), or no spread is "
        "known.",
        "Each number counts once: the averages of Tables 5 and 6 and the default's rows of Tables 2 to 4 and of "
        "section 4.5.2 repeat Tables 1 and 7.",
    )
