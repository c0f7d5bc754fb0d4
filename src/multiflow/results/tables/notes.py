"""Footnotes: which data, which protocol, how many runs, whose numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from multiflow.results.published import (
    PAPER,
    PUBLISHED_RUNS,
    has_published,
    published_by_class,
    published_classes,
    published_source,
    read_published,
)
from multiflow.results.tables.aggregate import Results
from multiflow.results.tables.catalog import table_place
from multiflow.results.tables.context import TableContext, class_heading
from multiflow.results.tables.model import DAGGER, MISSING, Row

__all__ = ["data_note", "departure_notes", "doubt_notes", "footnotes", "left_out_notes", "unfinished_notes"]

_CLASSES_NAMED = 3


def footnotes(
    name: str,
    rows: Sequence[Row],
    experiments: Sequence[str],
    metrics: Sequence[str],
    results: Results,
    context: TableContext,
) -> tuple[str, ...]:
    """Footnotes of a table, one sentence or a few each.

    Args:
        name: the table.
        rows: its rows.
        experiments, metrics: what it is made of.
        results: the measured values.
        context: the run.
    """
    ablation = context.ablations.get(name)
    contradictions = {} if ablation is None else context.contradictions(name)
    shown = [experiment for experiment in experiments if experiment not in contradictions]
    main = _main(shown or experiments, context.main if ablation is None else ablation.reference, context)
    if ablation is None:
        labels, places = context.methods, context.methods
    else:
        labels = {experiment: experiment for experiment in experiments}
        places = {row.key: f"Row {index} ({row.key})" for index, row in enumerate(rows, start=1)}
    runs = {experiment: _runs(experiment, metrics, results, context) for experiment in experiments}
    notes = [f"{_data(context)}; percent, {_spread(runs[main])}."]
    if main in context.experiments:
        notes.append(_protocol(main, labels[main], context))
    if ablation is None:
        notes += _references(context)
    notes += doubt_notes(context)
    notes += unfinished_notes(shown, labels, results, context)
    notes += left_out_notes(shown, context)
    notes += [
        f"{places[name]}: runs with {settings} here, so it is not this row."
        for name, settings in contradictions.items()
    ]
    notes += _deviations(main, shown, places, runs, results, context)
    cells = [cell for row in rows for cell in row.numbers]
    if any(cell.source == "published" for cell in cells):
        notes.append(_published_note(name, context))
        notes += departure_notes([main] if ablation is not None else _published_methods(name, context), context)
    if context.published is not None and has_published(context.published, name):
        classes = published_classes(context.published)
        if set(context.classes) != set(classes):
            own = len(context.classes)
            notes.append(f"Published averages are over {len(classes)} classes and not shown: this run has {own}.")
    explained = [cell for row in rows if row.key in contradictions for cell in row.numbers if cell.source == "measured"]
    if len(explained) < sum(cell.value is None for cell in cells):
        missing = any(cell.value is None and cell.source == "published" for cell in cells)
        notes.append(f"{MISSING}: not computed{' or not published' if missing else ''}.")
    return tuple(notes)


def departure_notes(experiments: Sequence[str], context: TableContext) -> tuple[str, ...]:
    """What is said below published numbers if experiments beside them have another protocol; else nothing."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in experiments:
        if name in context.experiments:
            groups.setdefault(context.experiments[name].departures, []).append(context.methods.get(name, name))
    notes = []
    for departures, names in groups.items():
        whose = "here" if len(groups) == 1 else f"of {', '.join(names)}"
        if departures and context.published is not None and published_by_class(context.published):
            # Several papers, and settings of their own for single classes: the defaults are none of them.
            notes.append(f"Settings {whose} that are not the defaults (in brackets): {', '.join(departures)}.")
        elif departures:
            notes.append(f"The protocol {whose} is not the paper's (in brackets): {', '.join(departures)}.")
    return tuple(notes)


def left_out_notes(experiments: Sequence[str], context: TableContext) -> tuple[str, ...]:
    """How many runs of some experiments are not shown since they were made with other settings; nothing if none."""
    count = sum(context.left_out.get(name, 0) for name in experiments)
    if count == 0:
        return ()
    return (f"{_count(count, 'run of other settings is', 'runs of other settings are')} left out.",)


def doubt_notes(context: TableContext) -> tuple[str, ...]:
    """What there is to doubt about the data behind a table, so that nobody takes its numbers for more; else nothing."""
    times: Counter[str] = Counter()
    classes: dict[str, list[str]] = {}
    for class_name, doubts in context.doubts.items():
        times.update(doubts)
        for what in doubts:
            classes.setdefault(what, []).append(class_heading(class_name, context))
    parts = []
    for what, names in classes.items():
        shown = ", ".join(names) if len(names) <= _CLASSES_NAMED else _count(len(names), "class", "classes")
        parts.append(f"{what} ({_count(times[what], 'time', 'times')}, {shown})")
    return (f"Warnings of the data, whose files the logs of flip_views name: {'; '.join(parts)}.",) if parts else ()


def data_note(context: TableContext) -> str:
    """The data set and the first method's protocol, where the run has it."""
    note = f"{_data(context)}."
    if context.main in context.experiments:
        note += f" {_protocol(context.main, context.methods[context.main], context)}"
    return note


def unfinished_notes(
    experiments: Sequence[str], labels: Mapping[str, str], results: Results, context: TableContext
) -> tuple[str, ...]:
    """What is missing of the runs of some experiments, by what the table calls them; nothing where all are there."""
    missing: dict[str, list[str]] = {}
    fewer_classes = False
    for name in experiments:
        known = context.experiments.get(name)
        if known is None:
            continue
        classes, seeds = results.finished(name, known.classes)
        parts = []
        if len(classes) < len(known.classes):
            parts.append(f"{len(classes)} of {_count(len(known.classes), 'class', 'classes')}")
        if len(seeds) < len(known.seeds):
            parts.append(f"{len(seeds)} of {_count(len(known.seeds), 'seed', 'seeds')}")
        fewer_classes |= 0 < len(classes) < len(known.classes)
        if parts:
            missing.setdefault(", ".join(parts) if classes else "no run", []).append(labels[name])
    if not missing:
        return ()
    alone = len(missing) == 1 and len(next(iter(missing.values()))) == len(experiments)
    parts = [text if alone else f"{', '.join(names)}: {text}" for text, names in missing.items()]
    rest = "; an average is over the finished classes" if fewer_classes else ""
    return (f"Not finished: {'; '.join(parts)}{rest}.",)


def _data(context: TableContext) -> str:
    return f"{context.dataset} ({context.data_protocol}), {_count(len(context.classes), 'class', 'classes')}"


def _references(context: TableContext) -> list[str]:
    """How the measured methods are cited; methods of one reference together."""
    groups: dict[str, list[str]] = {}
    for heading in context.methods.values():
        if reference := context.references.get(heading):
            groups.setdefault(reference, []).append(heading)
    return [_sentence(f"{', '.join(headings)}: {reference}") for reference, headings in groups.items()]


def _published_methods(name: str, context: TableContext) -> list[str]:
    """The measured methods that a table has published numbers of."""
    assert context.published is not None
    published = {row["method"] for row in read_published(context.published, name)}
    return [
        own
        for own in context.methods
        if own in context.experiments and context.experiments[own].published_heading in published
    ]


def _protocol(experiment: str, label: str, context: TableContext) -> str:
    return _sentence(f"Protocol of {label}: {'; '.join(context.experiments[experiment].protocol.values())}")


def _main(experiments: Sequence[str], preferred: str, context: TableContext) -> str:
    """The experiment that the others are held against: the preferred one, else the first that the run has."""
    known = [name for name in experiments if name in context.experiments]
    return preferred if preferred in experiments else (known or experiments)[0]


def _runs(experiment: str, metrics: Sequence[str], results: Results, context: TableContext) -> int:
    """Seeds behind an experiment's averages: the most that any of the metrics has."""
    classes = context.classes_of(experiment)
    return max((results.average(experiment, metric, classes).n or 0 for metric in metrics), default=0)


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
    results: Results,
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
        # What is not finished has its own note.
        if runs[name] not in (0, runs[main]) and not unfinished_notes((name,), places, results, context):
            parts.append(f"n = {runs[name]}")
        own = context.experiments.get(name)
        if own is not None and reference is not None and name != main:
            if set(own.seeds) != set(reference.seeds) and runs[name] == runs[main]:
                parts.append("other seeds")
            parts += [text for key, text in own.protocol.items() if text != reference.protocol.get(key)]
        if parts:
            notes.append(_sentence(f"{places.get(name, name)}: {'; '.join(parts)}"))
    return notes


def _published_note(name: str, context: TableContext) -> str:
    note = f"{DAGGER} Published, not measured here:"
    assert context.published is not None
    rows = read_published(context.published, name)
    if published_by_class(context.published):
        return _sentence(f"{note} {published_source(context.published, name)}")
    note = f"{note} {PAPER}, {table_place(name, context)}"
    if name in context.ablations:
        return _sentence("; ".join([f"{note}, without std", *(row["note"] for row in rows if row.get("note"))]))
    repeated = ", ".join(dict.fromkeys(row["method"] for row in rows if row["std"]))
    return f"{note}; {repeated} over {PUBLISHED_RUNS} runs, the other methods as printed there, without std."


def _count(number: int, singular: str, plural: str) -> str:
    return f"{number} {singular if number == 1 else plural}"


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
