"""What a method costs: time, memory and size, class by class."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

from multiflow.results.costs import RunCost, Taken
from multiflow.results.tables.context import TableContext, class_heading
from multiflow.results.tables.model import MISSING, Cell, Column, Row, Table, Words
from multiflow.results.tables.notes import left_out_notes

__all__ = ["cost_table"]

_GB, _MILLION = 1e9, 1e6

_COLUMNS = (
    Column("method", "Method", kind="words"),
    Column("class", "Class", kind="words"),
    Column("training_seconds", "Training", "(s)"),
    Column("scoring_seconds", "Scoring", "(s a sample)", kind="number"),
    Column("preparation_seconds", "Preparation", "(s a sample)", kind="number"),
    Column("training_memory", "Memory", "(training, GB)", kind="number"),
    Column("scoring_memory", "Memory", "(scoring, GB)", kind="number"),
    Column("gpu_memory", "GPU memory", "(GB)", kind="number"),
    Column("parameters", "Parameters", "(million)", kind="number"),
    Column("device", "Device", kind="words", csv_only=True),
)


def cost_table(costs: Sequence[RunCost], context: TableContext) -> Table:
    """A row per method and class, and one for the mean of a method's classes.

    Args:
        costs: of whatever runs there are.
        context: the run.
    """
    rows: list[Row] = []
    mean = Words("mean" if "mean" not in context.classes else "mean of the classes", context.average)
    for method, heading in context.methods.items():
        by_class = {
            name: [cost for cost in costs if (cost.experiment, cost.class_name) == (method, name)]
            for name in context.classes_of(method)
        }
        for index, (name, runs) in enumerate(by_class.items()):
            place = Words(heading, method), Words(class_heading(name, context), name)
            rows.append(Row("", (), (*place, *_cells([runs])), rule_above=index == 0 and bool(rows)))
        if len(by_class) > 1:
            found = [runs for runs in by_class.values() if runs]
            rows.append(Row("", (), (Words(heading, method), mean, *_cells(found))))
    missing = any(cell.value is None for row in rows for cell in row.numbers)
    return Table(
        name="costs",
        caption="What the methods cost",
        row_key="",
        stub=(),
        columns=_COLUMNS,
        rows=tuple(rows),
        notes=(
            f"{context.dataset} ({context.data_protocol}). {_devices(costs, context)}",
            *left_out_notes(list(context.methods), context),
            "Training: seconds by the clock, mean ± standard deviation over the seeds, all attempts together (of one "
            "that was killed, the time until its last checkpoint). Scoring: from a sample's prepared input to its "
            "scores. Preparation: the features and masks that a method asks for, made once for all methods and seeds, "
            "by all samples of the class. The start of a job is in none of them.",
            "Memory: the most that the job's process held, the largest of all seeds; processes that decode pictures "
            "for it are not counted. Parameters: numbers in the trained model's file; pretrained networks that a "
            "method reads come on top.",
            "Mean: over the classes that are finished; of memory, the largest.",
            *([f"{MISSING}: not noted, a model that was imported, or no GPU."] if missing else []),
        ),
        sortable=bool(rows),
    )


def _cells(classes: Sequence[Sequence[RunCost]]) -> tuple[Cell | Words, ...]:
    """The cells of a method from its runs, by class: means over the seeds, then over the classes."""
    runs = [cost for own in classes for cost in own]
    trained, scored = _known(cost.training for cost in runs), _known(cost.scoring for cost in runs)
    gpu = [taken.gpu_memory for taken in (*trained, *scored) if taken.gpu_memory is not None]
    return (
        _training(classes),
        Cell(_mean([[cost.scoring_seconds for cost in own] for own in classes]), digits=3),
        Cell(_mean([[cost.preparation for cost in own] for own in classes]), digits=3),
        Cell(_largest(taken.memory for taken in trained)),
        Cell(_largest(taken.memory for taken in scored)),
        Cell(_largest(gpu)),
        Cell(
            _scaled(_mean([[taken.parameters for taken in _known(cost.training for cost in own)] for own in classes]))
        ),
        Words(", ".join(dict.fromkeys(taken.device for taken in (*trained, *scored)))),
    )


def _training(classes: Sequence[Sequence[RunCost]]) -> Cell:
    """Mean over the classes; the std is over the seeds, and only of a single class."""
    seconds = [[taken.seconds for taken in _known(cost.training for cost in own)] for own in classes]
    mean = _mean(seconds)
    own = seconds[0] if len(seconds) == 1 else []
    return Cell(mean, statistics.stdev(own) if len(own) > 1 else None, min(map(len, seconds), default=0), digits=1)


def _known(taken: Iterable[Taken | None]) -> list[Taken]:
    return [value for value in taken if value is not None]


def _mean(classes: Sequence[Sequence[float | None]]) -> float | None:
    """The mean over the classes of the means over their seeds; None where a class has none."""
    means = []
    for own in classes:
        values = [value for value in own if value is not None]
        if not values:
            return None
        means.append(statistics.fmean(values))
    return statistics.fmean(means) if means else None


def _largest(values: Iterable[int]) -> float | None:
    largest = max(values, default=None)
    return None if largest is None else largest / _GB


def _scaled(value: float | None) -> float | None:
    return None if value is None else value / _MILLION


def _devices(costs: Sequence[RunCost], context: TableContext) -> str:
    """Where it was computed: times of different devices are not comparable."""
    where: dict[str, list[str]] = {}
    for cost in costs:
        for taken in _known((cost.training, cost.scoring)):
            threads = f"{taken.threads} thread{'s' if taken.threads != 1 else ''}"
            names = where.setdefault(f"{taken.device}, {threads}", [])
            if (heading := context.methods[cost.experiment]) not in names:
                names.append(heading)
    if not where:
        return "Nothing was noted yet."
    if len(where) == 1:
        return f"Computed on: {next(iter(where))}."
    listed = "; ".join(f"{', '.join(names)} on {device}" for device, names in where.items())
    return f"Computed: {listed}. Times on different devices are not comparable."
