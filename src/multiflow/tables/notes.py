"""Footnotes: which data, which protocol, how many runs, whose numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from multiflow.published import PAPER, PUBLISHED_RUNS, published_classes
from multiflow.tables.aggregate import Results
from multiflow.tables.context import TableContext
from multiflow.tables.model import MISSING, Row

__all__ = ["DAGGER", "data_note", "departure_notes", "footnotes"]

DAGGER = "†"
"""Marks a published number."""

_MAIN = "multiflow"
"""The experiment whose protocol, classes and seeds the others are held against, where it is shown."""


def footnotes(
    name: str,
    rows: Sequence[Row],
    experiments: Sequence[str],
    metrics: Sequence[str],
    results: Results,
    context: TableContext,
    contradictions: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """Footnotes of a table, one sentence or a few each.

    Args:
        name: the table.
        rows: its rows.
        experiments, metrics: what it is made of.
        results: the measured values.
        context: the run.
        contradictions: by experiment, the settings with which it is not its row, in words; the row is empty.
    """
    contradictions = contradictions or {}
    shown = [experiment for experiment in experiments if experiment not in contradictions]
    main = _main(shown or experiments, context)
    runs = {experiment: _runs(experiment, metrics, results, context) for experiment in experiments}
    notes = [
        f"{_data(context)}; percent, {_spread(runs[main])}.",
    ]
    if main in context.experiments:
        sentences = context.experiments[main].protocol.sentences().values()
        notes.append(_sentence(f"Protocol of {main}: {'; '.join(sentences)}"))
    places = {row.key: f"Row {index} ({row.key})" for index, row in enumerate(rows, start=1)}
    notes += [
        f"{places[name]}: runs with {settings} here, so it is not this row."
        for name, settings in contradictions.items()
    ]
    notes += _deviations(main, shown, places, runs, context)
    cells = [cell for row in rows for cell in row.cells]
    if any(cell.source == "published" for cell in cells):
        notes.append(_published_note(name))
        notes += departure_notes(context)
    if context.published is not None and set(context.classes) != set(published_classes(context.published)):
        total = len(published_classes(context.published))
        own = len(context.classes)
        notes.append(f"Published averages are over {total} classes and not shown: this run has {own}.")
    explained = [cell for row in rows if row.key in contradictions for cell in row.cells if cell.source == "measured"]
    if len(explained) < sum(cell.value is None for cell in cells):
        published = any(cell.value is None and cell.source == "published" for cell in cells)
        notes.append(f"{MISSING}: not computed{' or not published' if published else ''}.")
    return tuple(notes)


def departure_notes(context: TableContext) -> tuple[str, ...]:
    """What stands below published numbers if those measured beside them have another protocol; else nothing."""
    if not context.departures:
        return ()
    return (f"The protocol here is not the paper's (in brackets): {', '.join(context.departures)}.",)


def data_note(context: TableContext) -> str:
    """The data set and the main experiment's protocol, where the run has it."""
    note = f"{_data(context)}."
    if _MAIN in context.experiments:
        sentences = context.experiments[_MAIN].protocol.sentences().values()
        note += " " + _sentence(f"Protocol of {_MAIN}: {'; '.join(sentences)}")
    return note


def _data(context: TableContext) -> str:
    return f"{context.dataset} ({context.data_protocol}), {_count(len(context.classes), 'class', 'classes')}"


def _main(experiments: Sequence[str], context: TableContext) -> str:
    """The experiment that the others are held against: the main one, else the first that the run has."""
    known = [name for name in experiments if name in context.experiments]
    return _MAIN if _MAIN in experiments else (known or experiments)[0]


def _runs(experiment: str, metrics: Sequence[str], results: Results, context: TableContext) -> int:
    """Seeds behind an experiment's averages: the most that any of the metrics has."""
    classes = context.classes_of(experiment)
    return max(results.average(experiment, metric, classes).n or 0 for metric in metrics)


def _spread(runs: int) -> str:
    if runs == 0:
        return "no seed has all classes"
    if runs == 1:
        return "n = 1 seed; averages are means over the classes"
    return (
        f"mean ± standard deviation over n = {runs} seeds (n - 1 in the denominator); "
        "an average is taken over the classes first"
    )


def _deviations(
    main: str,
    experiments: Sequence[str],
    places: Mapping[str, str],
    runs: dict[str, int],
    context: TableContext,
) -> list[str]:
    """What sets an experiment's numbers apart from the main one's: classes, seeds, protocol."""
    notes = []
    reference = context.experiments.get(main)
    for name in experiments:
        parts = []
        classes = context.classes_of(name)
        if set(classes) != set(context.classes):
            parts.append(f"{len(classes)} of {_count(len(context.classes), 'class', 'classes')}")
        if runs[name] not in (0, runs[main]):
            parts.append(f"n = {runs[name]}")
        own = context.experiments.get(name)
        if own is not None and reference is not None and name != main:
            if set(own.seeds) != set(reference.seeds) and runs[name] == runs[main]:
                parts.append("other seeds")
            theirs = reference.protocol.sentences()
            parts += [text for key, text in own.protocol.sentences().items() if text != theirs[key]]
        if parts:
            notes.append(_sentence(f"{places.get(name, name)}: {'; '.join(parts)}"))
    return notes


def _published_note(name: str) -> str:
    place = "section 4.5.2" if name == "background_removal" else f"Table {name.removeprefix('table')}"
    note = f"{DAGGER} Published, not measured here: {PAPER}, {place}"
    if name in ("table2", "table3", "table4"):
        return f"{note}, without std."
    if name == "background_removal":
        return f"{note}, without std; AUPRO is reported there as roughly unchanged."
    return f"{note}; Multi-Flow over {PUBLISHED_RUNS} runs, the other methods as printed there, without std."


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
